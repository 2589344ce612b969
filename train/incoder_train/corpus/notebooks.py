"""Jupyter notebooks as text. A stage: documents that end in .ipynb come out as their cells, code in `<cell>` and prose in
`<text>`, with the kernel in their header's `ext`; outputs and raw cells stay behind. Everything else passes through."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from incoder_train.corpus.document import Document, Verdict
from incoder_train.corpus.markup import markdown_to_text

NOT_A_NOTEBOOK, NO_CELLS = "not a notebook", "notebook without cells"


def convert_notebooks(documents: Iterable[Document]) -> Iterator[Verdict]:
    """Notebooks of the formats 3 and 4 become text; what is no notebook, or has nothing to read in it, goes."""
    for document in documents:
        if document.ext != ".ipynb":
            yield document, None
            continue
        try:
            text, kernel = read_notebook(document.text)
        except ValueError as error:
            yield document, str(error)
            continue
        attributes = document.attributes | {"ext": f".ipynb:{kernel}" if kernel else ".ipynb"}
        yield replace(document, text=text, attributes=attributes), None


def read_notebook(content: str) -> tuple[str, str]:
    """The text of a notebook and its kernel, "" if it has none. Raises ValueError that says why there is no text."""
    try:
        notebook = json.loads(content)
        cells = _cells(notebook)
        pieces = [piece for cell in cells if (piece := _piece(cell))]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise ValueError(NOT_A_NOTEBOOK) from None
    if not pieces:
        raise ValueError(NO_CELLS)
    return "\n".join(pieces), _kernel(notebook)


def _cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Format 4 has cells, format 3 has them in worksheets."""
    if "worksheets" in notebook:
        return [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
    return notebook["cells"]


def _piece(cell: dict[str, Any]) -> str:
    """`cell_type` is code, markdown, or raw; in format 3 also heading and html."""
    kind = cell["cell_type"]
    source = cell.get("source", cell.get("input", ""))  # a string, or a list of lines with their ends
    text = source if isinstance(source, str) else "".join(source)
    if kind == "code":
        return f"<cell>\n{text}\n</cell>" if text.strip() else ""
    if kind in ("markdown", "heading", "html"):
        prose = markdown_to_text(text)
        return f"<text>\n{prose}\n</text>" if prose else ""
    return ""


def _kernel(notebook: dict[str, Any]) -> str:
    """Of python2 and python3 the language is enough; a name that is no plain word would upset the header."""
    try:
        name = str(notebook["metadata"]["kernelspec"]["name"])
    except (LookupError, TypeError):
        return ""
    return re.sub(r"^python[23]$", "python", name) if re.fullmatch(r"[\w.+-]+", name) else ""
