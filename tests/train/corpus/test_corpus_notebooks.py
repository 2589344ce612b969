"""Notebooks become their cells (spec of the released pipeline), and nothing that is no notebook gets through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.corpus.document import Document
from incoder_train.corpus.notebooks import NO_CELLS, NOT_A_NOTEBOOK, convert_notebooks


def convert(content: str, filename: str = "a.ipynb") -> tuple[Document, str | None]:
    ext = filename[filename.rindex(".") :]
    [verdict] = convert_notebooks(
        [Document(content, filename, filename, ext, "x", "MIT", attributes={"source": "github"})]
    )
    return verdict


def notebook(cells: list[dict[str, Any]], kernel: str | None = "python3", version: int = 4) -> str:
    metadata = {"kernelspec": {"name": kernel, "language": "python"}} if kernel is not None else {}
    body = {"cells": cells} if version == 4 else {"worksheets": [{"cells": cells}]}
    return json.dumps({"metadata": metadata, "nbformat": version, **body})


CELLS = [
    {
        "cell_type": "markdown",
        "source": ["# Areas\n", "\n", "*All* of `them`, see [here](http://x.org):\n", "- one & all\n"],
    },
    {"cell_type": "code", "source": ["import math\n", "math.pi"], "outputs": [{"text": "3.14"}], "execution_count": 1},
    {"cell_type": "raw", "source": "raw"},
    {"cell_type": "code", "source": "  \n"},
    {"cell_type": "code", "source": "x = '<b>'"},
]
TEXT = """<text>
Areas
All of them, see here:

one & all
</text>
<cell>
import math
math.pi
</cell>
<cell>
x = '<b>'
</cell>"""


def test_a_notebook_becomes_its_cells() -> None:
    document, reason = convert(notebook(CELLS))
    assert reason is None
    assert document.text == TEXT
    assert document.header_attributes() == {"filename": "a.ipynb", "ext": ".ipynb:python", "source": "github"}


def test_format_3() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Areas"]},
        {"cell_type": "code", "input": ["import math\n", "math.pi"], "language": "python", "outputs": []},
    ]
    document, reason = convert(notebook(cells, None, 3))
    assert reason is None
    assert document.text == "<text>\nAreas\n</text>\n<cell>\nimport math\nmath.pi\n</cell>"


@pytest.mark.parametrize(
    ("kernel", "ext"),
    [
        ("python3", ".ipynb:python"),
        ("python2", ".ipynb:python"),
        ("python", ".ipynb:python"),
        ("ir", ".ipynb:ir"),
        ("julia-1.6", ".ipynb:julia-1.6"),
        (None, ".ipynb"),
        ("", ".ipynb"),
        ("my kernel |>", ".ipynb"),
    ],
)
def test_the_kernel_is_in_the_extension(kernel: str | None, ext: str) -> None:
    document, _ = convert(notebook(CELLS, kernel))
    assert document.attributes["ext"] == ext


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", NOT_A_NOTEBOOK),
        ("[]", NOT_A_NOTEBOOK),
        ("{}", NOT_A_NOTEBOOK),
        ('{"cells": 1}', NOT_A_NOTEBOOK),
        ('{"cells": [1]}', NOT_A_NOTEBOOK),
        ('{"cells": [{"cell_type": "code", "source": [1]}]}', NOT_A_NOTEBOOK),
        ('{"cells": [{"cell_type": "code", "source": {}}]}', NO_CELLS),
        ("[" * 100_000, NOT_A_NOTEBOOK),
        (notebook([]), NO_CELLS),
        (notebook([{"cell_type": "raw", "source": "x"}]), NO_CELLS),
    ],
)
def test_what_is_no_notebook_goes(content: str, reason: str) -> None:
    assert convert(content)[1] == reason


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cells", "metadata", "cell_type", "source", "worksheets", "kernelspec"]), inner
        )
    ),
    max_leaves=10,
)


@given(json_values)
def test_any_json_has_a_verdict(value: object) -> None:
    assert convert(json.dumps(value))[1] in (None, NOT_A_NOTEBOOK, NO_CELLS)


def test_other_files_pass_through() -> None:
    document, reason = convert("x = 1", "a.py")
    assert (document.text, reason, document.attributes) == ("x = 1", None, {"source": "github"})
