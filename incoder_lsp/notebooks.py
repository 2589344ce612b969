"""Notebooks: the client's cells come in; what stands around a cell goes out, as the text of one file.

A cell is a text document and is handled as one: its opening, its changes and its end go to the same handlers as those of files.
What is kept here is only which cells a notebook has, in what order and in which language. For the model, the cells before one
stand above it and the others below it, with a blank line between them, as a program of that language would have them; cells in
another language, prose among them, are its comments.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from incoder_lsp.documents import path_of, split_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from incoder_lsp.documents import Document
    from incoder_lsp.question import Question
    from incoder_lsp.server import Server

LANGUAGES = {  # by the client's name of a language: how its files end, and what makes a line of them a comment
    "python": (".py", "#"),
    "r": (".r", "#"),
    "julia": (".jl", "#"),
    "javascript": (".js", "//"),
    "typescript": (".ts", "//"),
    "rust": (".rs", "//"),
    "go": (".go", "//"),
    "csharp": (".cs", "//"),
    "kotlin": (".kt", "//"),
    "scala": (".scala", "//"),
}
ALL_CELLS = types.NotebookDocumentSyncOptions([types.NotebookDocumentFilterWithNotebook(notebook="*")])


@dataclass
class Notebook:
    uri: str
    cells: list[str] = field(default_factory=list)  # their uris, in order
    languages: dict[str, str] = field(default_factory=dict)  # by a cell's uri


@dataclass(frozen=True)
class Around:
    """What the model is shown around a cell."""

    above: str
    below: str
    name: str  # of the file that the notebook would be as a program


def around(notebook: Notebook, cell: str, documents: Mapping[str, Document]) -> Around:
    language = notebook.languages.get(cell, "")
    ending, comment = LANGUAGES.get(language, ("", ""))
    place = notebook.cells.index(cell)

    def shown(cells: Iterable[str]) -> list[str]:
        texts = [
            _shown(documents[uri].text, comment if notebook.languages.get(uri) != language else None)
            for uri in cells
            if uri in documents
        ]
        return [text for text in texts if text]

    stem, extension = posixpath.splitext(path_of(notebook.uri))
    return Around(
        "".join(f"{text}\n\n" for text in shown(notebook.cells[:place])),
        "".join(f"\n\n{text}" for text in shown(notebook.cells[place + 1 :])),
        posixpath.basename(stem + (ending or extension)),
    )


def among_cells(question: Question, notebooks: Mapping[str, Notebook], documents: Mapping[str, Document]) -> Question:
    """A question about a cell is one about its notebook, of which it sees the other cells; any other stays as it is."""
    notebook = notebook_of(notebooks, question.uri)
    if notebook is None:
        return question
    return replace(question, path=path_of(notebook.uri), cells=around(notebook, question.uri, documents))


def notebook_of(notebooks: Mapping[str, Notebook], cell: str) -> Notebook | None:
    return next((notebook for notebook in notebooks.values() if cell in notebook.cells), None)


def _shown(text: str, comment: str | None) -> str:
    """comment: the sign that another language's lines get; "" where there is none, and so nothing to show."""
    text = text.strip("\r\n")
    if comment is None or not text.strip():
        return text if text.strip() else ""
    return "".join(f"{comment} {line}" for line in split_lines(text)) if comment else ""


# --- what the client tells ---------------------------------------------------------------------------------------


def did_open(ls: Server, params: types.DidOpenNotebookDocumentParams) -> None:
    opened = params.notebook_document
    ls.notebooks[opened.uri] = Notebook(opened.uri, [cell.document for cell in opened.cells])
    _open(ls, ls.notebooks[opened.uri], params.cell_text_documents)


def did_change(ls: Server, params: types.DidChangeNotebookDocumentParams) -> None:
    notebook, changed = ls.notebooks.get(params.notebook_document.uri), params.change.cells
    if notebook is None or changed is None:
        return
    if structure := changed.structure:
        array = structure.array
        put = [cell.document for cell in array.cells or []]
        notebook.cells[array.start : array.start + array.delete_count] = put
        _open(ls, notebook, structure.did_open or [])
        _close(ls, notebook, [cell.uri for cell in structure.did_close or []])
    for content in changed.text_content or []:
        changes = types.DidChangeTextDocumentParams(content.document, content.changes)
        _as_a_file(ls, types.TEXT_DOCUMENT_DID_CHANGE, changes)


def did_close(ls: Server, params: types.DidCloseNotebookDocumentParams) -> None:
    if notebook := ls.notebooks.pop(params.notebook_document.uri, None):
        _close(ls, notebook, list(notebook.languages))


def _open(ls: Server, notebook: Notebook, cells: Iterable[types.TextDocumentItem]) -> None:
    for cell in cells:
        notebook.languages[cell.uri] = cell.language_id
        _as_a_file(ls, types.TEXT_DOCUMENT_DID_OPEN, types.DidOpenTextDocumentParams(cell))


def _close(ls: Server, notebook: Notebook, cells: Iterable[str]) -> None:
    for uri in cells:
        notebook.languages.pop(uri, None)
        closed = types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
        _as_a_file(ls, types.TEXT_DOCUMENT_DID_CLOSE, closed)


def _as_a_file(ls: Server, method: str, params: Any) -> None:
    ls.protocol.fm.features[method](params)


HANDLERS: list[tuple[str, Any, Any]] = [
    (types.NOTEBOOK_DOCUMENT_DID_OPEN, did_open, None),
    (types.NOTEBOOK_DOCUMENT_DID_CHANGE, did_change, None),
    (types.NOTEBOOK_DOCUMENT_DID_CLOSE, did_close, None),
]
