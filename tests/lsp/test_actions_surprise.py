"""Words that surprise the model: which they are, as hints that are pulled, and with a quick fix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from action_client import Speaking, edited, menu, ready
from speaking import speaking

from incoder_lsp.actions.action import View
from incoder_lsp.actions.source import Source
from incoder_lsp.actions.surprise import Surprise, surprises_of
from incoder_lsp.settings import Settings

URI = "file:///project/sums.py"
TEXT = "def total(price, tax):\n    return price - tax\n"
SAID = ("return price + tax", "+ tax", "return price + tax")  # the line, the word, and the line again


def surprises(text: str, *answers: str, least: float = 6.0) -> list[Surprise]:
    source = Source(text, "/project/sums.py")
    view = View(URI, 1, source, (), Settings())
    return [*surprises_of(speaking(*answers)[0], view, source.functions[0], lambda: False, least)]


def test_an_operator_that_the_model_would_not_have_written():
    (one,) = surprises(TEXT, *SAID)
    assert (TEXT[one.start : one.end], one.instead) == ("-", "+")


def test_a_name():
    (one,) = surprises(TEXT, "return price - price", "price", "return price - price")
    assert (one.start, one.instead) == (TEXT.rindex("tax"), "price")


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        (TEXT, ("return price - tax",)),  # as it is
        (TEXT, ("return price - vat", "vat", "return price - vat")),  # nowhere in sight
        (TEXT, ("return price - 1", "1", "return price - 1")),  # no name
        (TEXT, ("return price if tax", "if tax", "return price if tax")),  # would not parse
        (TEXT, (*SAID[:2], "return price - tax")),  # no likelier after all
        (TEXT.replace("tax):", "täx):"), SAID),
        (
            "def total():\n    return 'price - tax'  # of all\n",
            ("return 'price + tax'", "+ tax", "return 'price + tax'"),
        ),
    ],
)
def test_what_is_no_surprise(text: str, answers: tuple[str, ...]):
    assert surprises(text, *answers) == []


def test_one_that_is_not_large_is_none():
    (one,) = surprises(TEXT, *SAID)
    assert surprises(TEXT, *SAID, least=one.gain)
    assert surprises(TEXT, *SAID, least=one.gain + 1) == []


# --- in a session -----------------------------------------------------------------------------------------------------


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Speaking]:
    client = Speaking(tmp_path)
    ready(client, initializationOptions={"surpriseHints": True})
    yield client
    assert client.end() == 0
    client.close()


def pulled(client: Speaking) -> list[dict[str, Any]]:
    return client.ask("textDocument/diagnostic", {"textDocument": {"uri": URI}})["result"]["items"]


def test_a_hint_and_its_quick_fix(client: Speaking):
    client.say(*SAID)
    client.open(URI, TEXT)
    (hint,) = pulled(client)
    assert (hint["severity"], hint["code"], hint["message"]) == (
        4,
        "incoder.unlikely",
        "Unlikely here: the model would write +.",
    )
    fix = menu(client, URI, TEXT, "-", diagnostics=[hint], only=["quickfix"])["Write +"]
    assert fix["kind"] == "quickfix"
    assert fix["diagnostics"] == [hint]
    (document,) = fix["edit"]["documentChanges"]
    assert edited(TEXT, document["edits"]) == TEXT.replace("-", "+")
    assert client.ask("codeAction/resolve", fix)["result"]["edit"] == fix["edit"]
    assert not menu(client, URI, TEXT, "def", only=["quickfix"])


def test_a_function_that_stays_as_it_is_is_not_asked_about_again(client: Speaking):
    client.say(*SAID)
    client.open(URI, TEXT)
    (hint,) = pulled(client)
    client.say("nonsense")
    client.change(URI, {"text": f"# Sums.\n\n{TEXT}"})
    (again,) = pulled(client)
    assert again["range"]["start"]["line"] == hint["range"]["start"]["line"] + 2
    client.change(URI, {"text": TEXT.replace("-", "+")})
    client.say("return price + tax")
    assert pulled(client) == []


def test_a_change_while_the_model_is_asked_ends_the_question(client: Speaking):
    client.say("...slow")
    client.open(URI, TEXT)
    request = client.request("textDocument/diagnostic", {"textDocument": {"uri": URI}})
    client.change(URI, {"text": TEXT + "\n"})
    reply = client.reply(request)
    assert reply["error"]["code"] == -32802
    assert reply["error"]["data"] == {"retriggerRequest": True}


def test_nothing_is_pulled_unless_it_is_wanted(tmp_path: Path):
    client = Speaking(tmp_path)
    ready(client)
    client.say(*SAID)
    client.open(URI, TEXT)
    assert pulled(client) == []
    assert client.end() == 0
    client.close()
