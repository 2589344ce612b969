"""Cells of a notebook know each other."""

from __future__ import annotations

from incoder_lsp.conformance.bench import Bench
from incoder_lsp.conformance.outcome import NotApplicable, check, require
from incoder_lsp.conformance.session import INVOKED, Document, Session

CELLS = (  # the cell above, the half-typed one, and what only the cell above can tell
    ("def measure_wavelength(sample):\n    return sample.peak\n", "result = measure_wav", "elength"),
    ("class TelescopeMirror:\n    pass\n", "mirror = Telesc", "opeMirror"),
    ("quarterly_revenue = [1, 2, 3]\n", "print(sum(quarterly_re", "venue"),
)


@check(24, "Notebook cells")
async def siblings(bench: Bench) -> str:
    """The other cells of a notebook are context: what is suggested in a cell depends on them, and a name from the cell above
    is completed somewhere."""
    session = await bench.shared()
    if not session.capabilities.get("notebookDocumentSync"):
        raise NotApplicable("It offers no notebookDocumentSync")
    bench.require_suggestions()
    helped = 0
    for number, (above, typed, name) in enumerate(CELLS):
        with_cell = await _suggested(session, f"with-{number}", [above, typed])
        without = await _suggested(session, f"without-{number}", [typed])
        helped += name in with_cell and name not in without
    require(helped, f"In none of {len(CELLS)} notebooks is a name completed that the cell above defines")
    return f"{helped} of {len(CELLS)} names completed"


async def _suggested(session: Session, name: str, cells: list[str]) -> str:
    """What the last cell gets at its end, from the start of its text."""
    uri = (session.folder / f"{name}.ipynb").as_uri()
    uris = [f"vscode-notebook-cell:{uri.partition(':')[2]}#{i}" for i in range(len(cells))]
    notebook = {
        "uri": uri,
        "notebookType": "jupyter-notebook",
        "version": 1,
        "cells": [{"kind": 2, "document": cell} for cell in uris],
    }
    documents = [
        {"uri": cell, "languageId": "python", "version": 1, "text": text}
        for cell, text in zip(uris, cells, strict=True)
    ]
    opened = {"notebookDocument": notebook, "cellTextDocuments": documents}
    session.client.notify("notebookDocument/didOpen", opened)
    cell = Document(session, uris[-1], cells[-1])
    items = await cell.suggest(len(cell.text), INVOKED)
    closed = {"notebookDocument": {"uri": uri}, "cellTextDocuments": [{"uri": cell} for cell in uris]}
    session.client.notify("notebookDocument/didClose", closed)
    return cell.applied(items[0], len(cell.text)) if items else ""
