"""Names by vote: which variables can be renamed, what the model is asked, whose names count, and the rename."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from action_client import INVALID_PARAMS, Speaking, accept_progress, changes, edited, menu, session
from speaking import speaking

from incoder_lsp.actions import names
from incoder_lsp.actions.action import View, applied
from incoder_lsp.actions.source import Source
from incoder_lsp.actions.variables import variable_at
from incoder_lsp.settings import Settings

URI = "file:///project/shop.py"
SHOP = """import tax


def total(rows):
    x = 0
    for row in rows:
        x += tax.of(row.x, x=1)
    return x  # x
"""
RENAMED = SHOP.replace("x = 0", "price = 0").replace("x += ", "price += ").replace("return x", "return price")


def view(text: str, chosen: str) -> View:
    start = text.index(chosen)
    return View(URI, 1, Source(text, "/project/shop.py"), ((start, start),), Settings())


def never() -> bool:
    return False


RENAMABLE = {
    "a local variable": ("def f():\n    §x = 1\n    return x\n", 2),
    "read in a function inside": ("def f():\n    §x = 1\n    return lambda: x\n", 2),
    "from within that": ("def f():\n    x = 1\n    def g():\n        return §x\n    return g\n", 2),
    "a parameter of a private function": ("def _f(§x):\n    return x\n", 2),
    "a parameter by place": ("def f(§x, /):\n    return x\n", 2),
    "unpacked": ("def f(y):\n    a, (§x, *b) = y\n    with x as c:\n        return x\n", 3),
    "é before it": ("def f():\n    é, §x = 'é', 1; return x\n", 2),
}
FIXED = {
    "a global": "§x = 1\n",
    "declared global": "def f():\n    global x\n    §x = 1\n",
    "nonlocal": "def f():\n    §x = 1\n    def g():\n        nonlocal x\n        x = 2\n",
    "shadowed inside": "def f():\n    §x = 1\n    return [x for x in y], x\n",
    "of a comprehension": "def f():\n    return [§x for x in y]\n",
    "imported": "def f():\n    import x\n    §x = x.y\n",
    "caught": "def f():\n    try:\n        g()\n    except E as §x:\n        x = 1\n",
    "a pattern": "def f(y):\n    match y:\n        case §x:\n            x = 1\n",
    "a parameter that callers may name": "def f(§x):\n    return x\n",
    "a parameter that a caller names": "def _f(§x):\n    return x\n_f(x=1)\n",
    "used as a default, too": "def _f(§x, y=x):\n    return x\n",
    "looked up by its name": "def f():\n    §x = 1\n    return locals()\n",
    "self": "class A:\n    def _f(§self):\n        return self\n",
    "an attribute": "def f(y):\n    return y.§x\n",
    "a keyword of Python": "def f():\n    §return 1\n",
    "another spelling": "def f():\n    ﬁ = 1\n    return §fi\n",
    "no Python": "def f(:\n    §x = 1\n",
}


@pytest.mark.parametrize("name", RENAMABLE)
def test_what_can_be_renamed(name: str):
    marked, places = RENAMABLE[name]
    text = marked.replace("§", "")
    variable = variable_at(Source(text, "a.py"), marked.index("§"))
    assert variable is not None
    assert [text[slice(*place)] for place in variable.places] == ["x"] * places


@pytest.mark.parametrize("name", FIXED)
def test_what_keeps_its_name(name: str):
    marked = FIXED[name]
    assert variable_at(Source(marked.replace("§", ""), "a.py"), marked.index("§")) is None


def test_occurrences_are_holes_of_one_prompt():
    model, script = speaking("price = 1", "price", "sum of", region=False)
    done = names.perform(model, view(SHOP, "x = 0"), "variable", never)
    assert applied(SHOP, done.edits) == RENAMED
    assert [edit.label for edit in done.edits] == ["x becomes price"] * 3
    holes = (
        "def total(rows):\n    <0> = 0\n    for row in rows:\n        <1> += tax.of(row.x, x=1)\n    return <2>  # x<3>"
    )
    head = "<| file ext=.py filename=shop.py |>\n"
    assert script.prompts == [f"{head}{holes}<0>", f"{head}{holes}<0>price<1>", f"{head}{holes}<0>price<1>price<2>"]


def test_a_model_of_regions_sees_no_occurrence_of_the_old_name():
    model, script = speaking("price", "price", "price", region=True)
    done = names.perform(model, view(SHOP, "x = 0"), "variable", never)
    assert applied(SHOP, done.edits) == RENAMED
    assert "_ += tax.of(row.x, x=1)\n    return _  # x<1><0>" in script.prompts[0]
    assert "price = 0\n" in script.prompts[1]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (["a1", "b2", "c3"], "The model has no better name for x."),
        (["", "", ""], "The model has no better name for x."),
        (["x", "x", "x"], "The model would call it x, too."),
        (["rows"] * 3, "The model has no better name for x."),  # it is the parameter's
        (["tax"] * 3, "The model has no better name for x."),  # the module's
        (["total"] * 3, "The model has no better name for x."),  # the function's
        (["sum"] * 3, "The model has no better name for x."),  # a builtin
        (["class"] * 3, "The model has no better name for x."),  # a keyword
        (["match"] * 3, "The model has no better name for x."),  # sometimes a keyword
        (["preis€"] * 3, None),
        (["prix_é"] * 3, "The model has no better name for x."),
    ],
)
def test_names_that_are_refused(said: list[str], sentence: str | None):
    done = names.perform(speaking(*said)[0], view(SHOP, "x = 0"), "variable", never)
    assert (done.edits == (), None if done.edits else done.sentence) == (sentence is not None, sentence)


def test_the_likelier_name_counts_more():
    sure, _ = speaking("price", "row_sum", "row_sum")
    variable = variable_at(Source(SHOP, "a.py"), SHOP.index("x = 0"))
    assert variable is not None
    found = names.suggested(sure, view(SHOP, "x = 0"), variable, never)
    assert [(one.name, round(one.share, 2)) for one in found] == [("row_sum", 0.67), ("price", 0.33)]


def test_holes_that_do_not_fit_are_renamed_all_the_same():
    text = "def f():\n    x = 1\n" + "    g(x)\n" * 60
    model, script = speaking(*["price"] * 60, context=256)
    done = names.perform(model, view(text, "x = 1"), "variable", never)
    assert applied(text, done.edits) == text.replace("x", "price")
    assert 1 < len(script.prompts) <= names.MOST_HOLES


def test_a_rename_changes_nothing_else():
    edits = names.perform(speaking(*["price"] * 3)[0], view(SHOP, "x = 0"), "variable", never).edits
    assert names.is_a_rename(SHOP, edits, "x", "price")
    assert not names.is_a_rename(SHOP, edits[:2], "price", "x")
    assert ast.unparse(ast.parse(applied(SHOP, edits))).count("price") == 3


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaking]:
    yield from session(tmp_path_factory.mktemp("names"))


def test_through_the_server(client: Speaking):
    client.open(URI, SHOP)
    client.say(*["price"] * 3)
    action = menu(client, URI, SHOP, "x = 0")["Suggest a name for x"]
    assert action["kind"] == "refactor.rewrite.incoder.name"
    assert not any("name" in title for title in menu(client, URI, SHOP, "tax.of"))
    request = client.request("codeAction/resolve", action)
    accept_progress(client)
    resolved = client.reply(request)["result"]
    assert edited(SHOP, changes(resolved)) == RENAMED
    (note,) = resolved["edit"]["changeAnnotations"].values()
    assert (note["label"], note["needsConfirmation"]) == ("x becomes price", False)


def test_names_can_be_asked_for(client: Speaking):
    client.open(URI, SHOP)
    client.say("price", "price", "cost")
    params = {"textDocument": {"uri": URI}, "position": {"line": 7, "character": 11}}
    request = client.request("incoder/suggestNames", params)
    accept_progress(client)
    result = client.reply(request)["result"]
    assert result["name"] == "x"
    assert len(result["ranges"]) == 3
    assert [one["name"] for one in result["suggestions"]] == ["price", "cost"]
    assert client.ask("incoder/suggestNames", {**params, "position": {"line": 0, "character": 0}})["result"] is None
    assert client.ask("incoder/suggestNames", {"textDocument": {"uri": URI}})["error"]["code"] == INVALID_PARAMS
    assert client.ask("incoder/suggestNames")["error"]["code"] == INVALID_PARAMS
