"""What is asked and what comes of it: a Question about one version of a document, an Answer to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from incoder_lsp.settings import Settings

if TYPE_CHECKING:
    from incoder_lsp.filters.suggestion import Suggestion
    from incoder_lsp.notebooks import Around
    from incoder_lsp.surroundings import Choice


@dataclass(frozen=True)
class Selected:
    """The item that is selected in the editor's popup: if it is accepted, `text` takes the place of start..end (code points)."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Question:
    """What to complete: the whole `text` with the cursor at `offset` (code points).

    While an item of the popup is selected, both are what they will be once it is accepted.
    """

    uri: str
    path: str
    text: str
    offset: int
    eol: str  # the file's line end, which the suggestion will have
    invoked: bool  # the user asked; otherwise the editor did, because of a key
    settings: Settings
    selected: Selected | None = None
    language: str = ""  # the editor's name for it
    place: str = ""  # the path from the workspace folder on
    ignored: bool = False  # by git
    anchor: int | None = None  # where the prompt's typed part begins, see `context`
    cells: Around | None = None  # the other cells, where the text is a notebook's cell
    choice: Choice | None = None  # of pieces of other files; None where the user wants none


def with_selected(question: Question, selected: Selected) -> Question:
    """The question that will be asked if an item of the popup is accepted; the same one for an item elsewhere."""
    if not selected.start <= question.offset <= selected.end:
        return question
    text = question.text[: selected.start] + selected.text + question.text[selected.end :]
    return replace(question, text=text, offset=selected.start + len(selected.text), selected=selected)


@dataclass(frozen=True)
class Answer:
    """Suggestions, the best one first; or none, and why."""

    suggestions: tuple[Suggestion, ...] = ()
    why: str = ""  # there is none, in a few words

    @property
    def best(self) -> Suggestion | None:
        return self.suggestions[0] if self.suggestions else None
