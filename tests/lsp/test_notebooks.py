"""Notebooks: which text the model is shown around a cell, and that the mirror is the client's."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import BOTH_WAYS, Start
from raw_client import INLINE, RawClient, inline, span

from incoder_lsp.documents import Document
from incoder_lsp.filling import _situation
from incoder_lsp.notebooks import Notebook, around, notebook_of
from incoder_lsp.question import Question
from incoder_lsp.settings import Settings

URI = "file:///home/me/my%20work.ipynb"
CELLS = {"#0": ("python", "import os\n"), "#1": ("markdown", "# Title\n\ntext"), "#2": ("python", "x = 1\r\ny = 2")}


def notebook(cells: dict[str, tuple[str, str]]) -> tuple[Notebook, dict[str, Document]]:
    languages = {uri: language for uri, (language, _) in cells.items()}
    return Notebook(URI, list(cells), languages), {uri: Document(text) for uri, (_, text) in cells.items()}


def test_cells_are_one_program() -> None:
    pages, documents = notebook({**CELLS, "#3": ("python", "z"), "#4": ("python", "  \n"), "#5": ("python", "done()")})
    shown = around(pages, "#3", documents)
    assert shown.above == "import os\n\n# # Title\n# \n# text\n\nx = 1\r\ny = 2\n\n"
    assert shown.below == "\n\ndone()"
    assert shown.name == "my work.py"


def test_other_languages_are_comments_or_nothing() -> None:
    pages, documents = notebook({"#0": ("sql", "SELECT 1"), "#1": ("typescript", "a()"), "#2": ("markdown", "words")})
    assert around(pages, "#1", documents).above == "// SELECT 1\n\n"
    assert around(pages, "#1", documents).below == "\n\n// words"
    prose = around(pages, "#2", documents)
    assert (prose.above, prose.name) == ("", "my work.ipynb")


def test_the_answer_is_asked_for_inside_the_cell() -> None:
    """The model reads all cells; the question's own text and offset stay those of the cell."""
    pages, documents = notebook({**CELLS, "#3": ("python", "print(x, y)\nx + ")})
    text = documents["#3"].text
    cells = around(pages, "#3", documents)
    asked = Question("#3", "/home/me/my work.ipynb", text, len(text), "\n", True, Settings(), anchor=12, cells=cells)
    situation = _situation(asked)
    assert situation
    assert situation.request.left == "import os\n\n# # Title\n# \n# text\n\nx = 1\ny = 2\n\nprint(x, y)\n"
    assert situation.request.typed == "x + "
    assert situation.request.header == '<| file ext=.py filename="my work.py" |>\n'


def test_a_cell_belongs_to_its_notebook() -> None:
    pages, _ = notebook(CELLS)
    assert notebook_of({URI: pages}, "#1") is pages
    assert notebook_of({URI: pages}, "#7") is None


# --- over the wire -----------------------------------------------------------------------------------------------


def cell(number: int, text: str) -> dict[str, Any]:
    return {"uri": f"vscode-notebook-cell:/w/n.ipynb#{number}", "languageId": "python", "version": 1, "text": text}


def opened(*cells: dict[str, Any]) -> dict[str, Any]:
    kinds = [{"kind": 2, "document": one["uri"]} for one in cells]
    notebook = {"uri": "file:///w/n.ipynb", "notebookType": "jupyter-notebook", "version": 1, "cells": kinds}
    return {"notebookDocument": notebook, "cellTextDocuments": list(cells)}


def changed(**cells: Any) -> dict[str, Any]:
    return {"notebookDocument": {"uri": "file:///w/n.ipynb", "version": 2}, "change": {"cells": cells}}


def seen(client: RawClient, number: int, line: int, character: int) -> str | None:
    """What the scripted model sees around a place in a cell."""
    result = client.ask(INLINE, inline(cell(number, "")["uri"], line, character))["result"]
    return result and result["items"][0]["insertText"]


@pytest.fixture(params=BOTH_WAYS)
def with_notebooks(request: pytest.FixtureRequest, launch: Start, shared_runtime: str) -> RawClient:
    client = launch(BOTH_WAYS[request.param], XDG_RUNTIME_DIR=shared_runtime)
    client.start_and_load(capabilities={"notebookDocument": {"synchronization": {}}})
    return client


def test_notebooks_are_offered_only_to_clients_that_have_them(launch: Start, shared_runtime: str) -> None:
    for capabilities, offered in ({}, None), ({"notebookDocument": {"synchronization": {}}}, [{"notebook": "*"}]):
        client = launch(BOTH_WAYS["one process"], XDG_RUNTIME_DIR=shared_runtime)
        sync = client.start(capabilities=capabilities)["capabilities"].get("notebookDocumentSync")
        assert (sync and sync["notebookSelector"]) == offered


def test_cells_are_mirrored_as_the_client_changes_them(with_notebooks: RawClient) -> None:
    client = with_notebooks
    client.notify("notebookDocument/didOpen", opened(cell(0, "first"), cell(1, "second")))
    assert seen(client, 1, 0, 3) == "|sec|ond|"
    edit = {"range": span((0, 0), (0, 5)), "text": "é"}
    content = {"document": {"uri": cell(0, "")["uri"], "version": 2}, "changes": [edit]}
    client.notify("notebookDocument/didChange", changed(textContent=[content]))
    assert seen(client, 0, 0, 1) == "|é||"
    new = {"kind": 2, "document": cell(2, "")["uri"]}
    array = {"start": 1, "deleteCount": 1, "cells": [new]}
    structure = {"array": array, "didOpen": [cell(2, "third")], "didClose": [{"uri": cell(1, "")["uri"]}]}
    client.notify("notebookDocument/didChange", changed(structure=structure))
    assert seen(client, 2, 0, 5) == "|ird||"
    assert seen(client, 1, 0, 0) is None
    client.notify("notebookDocument/didChange", {**changed(), "change": {"cells": {"textContent": 5}}})
    assert seen(client, 2, 0, 5) is None, "no copy is better than a wrong one"
    client.notify("notebookDocument/didOpen", opened(cell(0, "again")))
    assert seen(client, 0, 0, 5) == "|ain||"
    client.notify(
        "notebookDocument/didClose", {"notebookDocument": {"uri": "file:///w/n.ipynb"}, "cellTextDocuments": []}
    )
    assert seen(client, 0, 0, 5) is None
