"""Return and argument types: which texts are hints, what the model is asked, what is written, and inlay hints."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from action_client import Speaking, accept_progress, changes, edited, menu, range_of, session
from hypothesis import given
from hypothesis import strategies as st
from speaking import speaking

from incoder_lsp.actions import annotate
from incoder_lsp.actions.action import View, applied
from incoder_lsp.actions.annotation import hint_of, names_for
from incoder_lsp.actions.source import Source
from incoder_lsp.settings import Settings

URI = "file:///project/shapes.py"
SHAPES = """import numpy as np
from typing import Callable, Literal, Optional
if TYPE_CHECKING:
    import torch


class Shape:
    pass


def area(width, height=1, *rest):
    return width * height


def show(text):
    print(text)


class Later:
    pass
"""


def view(text: str, chosen: str = "") -> View:
    start = text.index(chosen)
    return View(URI, 1, Source(text, "/project/shapes.py"), ((start, start),), Settings())


def never() -> bool:
    return False


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("int", "int"),
        ("  dict[ str,int ]", "dict[str, int]"),
        ("int | None", "int | None"),
        ("tuple[int, ...]", "tuple[int, ...]"),
        ("np.ndarray", "np.ndarray"),
        ("Callable[[int], Shape]", "Callable[[int], Shape]"),
        ("Optional[Shape]", "Optional[Shape]"),
        ("Literal['a', 'b']", "Literal['a', 'b']"),
        ("Later", '"Later"'),
        ("list[Later]", '"list[Later]"'),
        ("torch.Tensor", '"torch.Tensor"'),
        ("Literal['a'] | Later", None),
        ("Optional", None),
        ("np", None),
        ("List[int]", None),
        ("Path", None),
        ("pd.DataFrame", None),
        ("len", None),
        ("width * height", None),
        ("f(x)", None),
        ("'int'", None),
        ("int:", None),
        ("", None),
        ("1", None),
        ("True", None),
        ("list[]", None),
        ("int.real", None),
    ],
)
def test_what_is_a_hint(said: str, hint: str | None):
    source = Source(SHAPES, "a.py")
    assert hint_of(said, names_for(source, source.functions[0])) == hint


def test_names_that_come_later_need_no_quotes_where_hints_are_not_evaluated():
    source = Source(f"from __future__ import annotations\n{SHAPES}", "a.py")
    assert hint_of("list[Later]", names_for(source, source.functions[0])) == "list[Later]"


@given(st.text(alphabet="int[]|, .'\"()Nonelist*:{}\\\n", max_size=30))
def test_any_text_is_a_hint_that_parses_or_none(said: str):
    source = Source(SHAPES, "a.py")
    hint = hint_of(said, names_for(source, source.functions[0]))
    assert hint is None or ast.parse(f"x: {hint}")


def test_what_the_model_is_asked():
    model, script = speaking("float, x", "int)", "float:")
    done = annotate.perform(model, view(SHAPES, "def area"), "function", never)
    head = "<| file ext=.py filename=shapes.py |>\n"
    imports = "import numpy as np\nfrom typing import Callable, Literal, Optional\nimport torch\n\n"
    body = "\n    return width * height\n\ndef "
    assert script.prompts[0].startswith(f"{head}{imports}<0>, height=1, *rest):{body}<1><0>def area(width")
    assert f"{head}{imports}<0>=1, *rest):{body}<1><0>def area(width: float, height" in script.prompts[1]
    assert f"{head}{imports}<0>{body}<1><0>def area(width: float, height: int = 1, *rest" in script.prompts[2]
    written = "def area(width: float, height: int = 1, *rest) -> float:\n"
    assert applied(SHAPES, done.edits) == SHAPES.replace("def area(width, height=1, *rest):\n", written)
    assert (done.complete, done.sentence) == (True, "Every missing type has a hint.")
    assert [edit.label for edit in done.edits] == [
        "Type of width: float (100%)",
        "Type of height: int (100%)",
        "Type of the result: float (100%)",
    ]


def test_what_returns_nothing_returns_none_and_nothing_else_does():
    done = annotate.perform(speaking("str)")[0], view(SHAPES, "def show"), "function", never)
    assert "def show(text: str) -> None:" in applied(SHAPES, done.edits)
    text = "def f():\n    return g()\n"
    assert annotate.perform(speaking("None:")[0], view(text), "function", never).edits == ()


def test_what_a_model_in_doubt_says_is_not_written():
    done = annotate.perform(
        speaking("float, x", "int)", "float:", sure=5)[0], view(SHAPES, "def area"), "function", never
    )
    assert done.edits == ()
    assert done.sentence == "0 of 3 missing types have a hint; of the others the model is not sure."


UNTOUCHED = {
    "complete": "def f(x: int) -> int:\n    return x\n",
    "a stub": "def f(x):\n    raise NotImplementedError\n",
    "with an old comment": "def f(x):\n    # type: (int) -> int\n    return x\n",
    "no Python": "def f(x:\n    return x\n",
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_is_left_alone(name: str):
    assert annotate.offers(view(UNTOUCHED[name])) == []


def test_what_is_offered_where():
    assert [offer.title for offer in annotate.offers(view(SHAPES, "return"))] == [
        "Annotate this function",
        "Annotate the functions of this file (2)",
    ]
    assert [offer.scope for offer in annotate.offers(view(SHAPES, "import"))] == ["file"]


def test_odd_signatures():
    text = (
        "class A:\n    @staticmethod\n    def f(a, /, b={':': 1}, *, c): return a\n"
        "    def g(self): # a comment: here\n        return 1\n"
        "async def h(\n    x = lambda y: y, # (\n    é=1,\n) :\n    yield x\n"
    )
    model, _ = speaking("int,", "dict,", "str)", "int:", "int:", "type,", "int,", "A:")
    done = annotate.perform(model, view(text), "file", never)
    assert applied(text, done.edits) == (
        "class A:\n    @staticmethod\n    def f(a: int, /, b: dict = {':': 1}, *, c: str) -> int: return a\n"
        "    def g(self) -> int: # a comment: here\n        return 1\n"
        "async def h(\n    x: type = lambda y: y, # (\n    é: int = 1,\n) -> A :\n    yield x\n"
    )


# --- through the server ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaking]:
    yield from session(tmp_path_factory.mktemp("types"))


def test_the_file_is_annotated_and_else_untouched(client: Speaking):
    client.say("float, x", "int)", "float:", "str)")
    client.open(URI, SHAPES)
    action = menu(client, URI, SHAPES)["Annotate the functions of this file (2)"]
    request = client.request("codeAction/resolve", action)
    accept_progress(client)
    done = edited(SHAPES, changes(client.reply(request)["result"]))
    signatures = {
        "def area(width, height=1, *rest):": "def area(width: float, height: int = 1, *rest) -> float:",
        "def show(text):": "def show(text: str) -> None:",
    }
    expected = SHAPES
    for bare, annotated in signatures.items():
        expected = expected.replace(bare, annotated)
    assert done == expected


def test_inlay_hints_are_off_by_default_and_asked_for_once(client: Speaking):
    params = {"textDocument": {"uri": URI}, "range": range_of(SHAPES, 0, len(SHAPES))}
    client.open(URI, SHAPES)
    assert client.ask("textDocument/inlayHint", params)["result"] is None
    client.notify("workspace/didChangeConfiguration", {"settings": {"typeHints": True}})
    client.say("float, x", "int)", "float:", "str)")
    hints = client.ask("textDocument/inlayHint", params)["result"]
    assert [hint["label"] for hint in hints] == [": float", ": int", " -> float", ": str", " -> None"]
    assert hints[0]["tooltip"] == "InCoder: Type of width: float (100%)"
    written = edited(SHAPES, [edit for hint in hints for edit in hint["textEdits"]])
    assert "def area(width: float, height: int = 1, *rest) -> float:" in written
    client.change(URI, {"range": range_of(SHAPES, 0, 0), "text": "# a comment\n"})
    again = client.ask("textDocument/inlayHint", params)["result"]
    assert [hint["label"] for hint in again] == [hint["label"] for hint in hints], "though the model now says nothing"
    assert [hint["position"]["line"] for hint in again] == [hint["position"]["line"] + 1 for hint in hints]
