"""Where a suggestion goes in the document, as an inline completion has it: a Question and a Suggestion in, a Placed out.

It takes the place of the word that is being typed, with which it begins, so that it still fits when a letter of it is taken
back; or of what the popup's selected item takes the place of, as editors show it only then.
"""

from __future__ import annotations

from dataclasses import dataclass

from incoder_lsp.filters.suggestion import Suggestion
from incoder_lsp.question import Question


@dataclass(frozen=True)
class Placed:
    """`text` takes the place of start..end, in code points of the document."""

    start: int
    end: int
    text: str


def placed(question: Question, suggestion: Suggestion) -> Placed | None:
    """None where the popup's item leaves no room for it."""
    if question.selected is None:
        start = word_start(question.text, question.offset)
        typed = question.text[start : question.offset]
        return Placed(start, question.offset + suggestion.covers, typed + suggestion.text)
    item = question.selected
    covered = question.text[question.offset : question.offset + suggestion.covers]  # stays where it is
    if not suggestion.text.endswith(covered) or suggestion.text == covered:
        return None
    return Placed(item.start, item.end, item.text + suggestion.text.removesuffix(covered))


def word_start(text: str, offset: int) -> int:
    while offset and (text[offset - 1].isalnum() or text[offset - 1] == "_"):
        offset -= 1
    return offset
