"""From an editor's request to a Question: the document as it is now, and all that the session knows about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lsprotocol import types

from incoder_lsp import notebooks
from incoder_lsp.backend.address import Address
from incoder_lsp.documents import Document, path_of
from incoder_lsp.question import Question, Selected, with_selected

if TYPE_CHECKING:
    from incoder_lsp.server import Server


def question_at(
    ls: Server,
    uri: str,
    position: types.Position,
    *,
    invoked: bool,
    selected: types.SelectedCompletionInfo | None = None,
) -> Question | None:
    """A frozen view of what is asked; None where the file is not open. selected: the popup's item."""
    document = ls.documents.get(uri)
    if document is None:
        return None
    known = ls.configuration
    question = Question(
        uri,
        path_of(uri),
        document.text,
        document.offset_at(position.line, position.character),
        document.eol,
        invoked,
        known.settings_of(uri),
        language=document.language,
        place=known.place_of(uri),
        ignored=known.is_ignored(uri),
    )
    question = notebooks.among_cells(question, ls.notebooks, ls.documents)
    if selected is not None:
        question = with_selected(question, _selected(document, selected))
    if isinstance(ls.source, Address) and not question.settings.neighbours_to_backend:
        return question
    roots = ls.workspace.folders or [ls.workspace.root_uri]
    folders = [path_of(root) for root in roots if root]
    return replace(question, choice=ls.surroundings.choice(question, ls.documents, folders))


def _selected(document: Document, item: types.SelectedCompletionInfo) -> Selected:
    start, end = (document.offset_at(place.line, place.character) for place in (item.range.start, item.range.end))
    return Selected(start, end, item.text)
