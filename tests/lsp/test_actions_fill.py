"""Fill the holes: what the model is asked, what may stay, and the whole way through the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from action_client import (
    CANCELLED,
    CODE_ACTION,
    INVALID_PARAMS,
    Speaking,
    accept_progress,
    asked,
    changes,
    edited,
    menu,
    progress,
    range_of,
    ready,
    session,
)
from speaking import SLOW, speaking

from incoder_lsp.actions import fill
from incoder_lsp.actions.action import View, applied
from incoder_lsp.actions.source import Source
from incoder_lsp.settings import Settings

URI = "file:///project/numbers.py"
NUMBERS = """def mean(numbers):
    total = ...
    return total / <mask>


def largest(numbers):
    best = None
    # TODO: look at each of the numbers
    pass
    return best
"""
FILLED = """def mean(numbers):
    total = sum(numbers)
    return total / len(numbers)


def largest(numbers):
    best = None
    # TODO: look at each of the numbers
    for number in numbers:
        best = number
    return best
"""
ANSWERS = ("sum(numbers)", "len(numbers)", "for number in numbers:\n        best = number")


def view(text: str, chosen: str = "", path: str = "/project/numbers.py") -> View:
    start = text.index(chosen)
    return View(URI, 1, Source(text, path), ((start, start + len(chosen)),), Settings())


def never() -> bool:
    return False


# --- what the model is asked, and what may stay ---------------------------------------------------------------------


def test_one_prompt_for_all_holes():
    model, script = speaking(*ANSWERS)
    done = fill.perform(model, view(NUMBERS), "file", never)
    assert applied(NUMBERS, done.edits) == FILLED
    assert (done.complete, done.sentence) == (True, "All 3 holes were filled.")
    whole = NUMBERS.replace("...", "<0>").replace("<mask>", "<1>").replace("pass", "<2>")
    head = "<| file ext=.py filename=numbers.py |>\n"
    assert script.prompts == [
        f"{head}{whole}<3><0>",
        f"{head}{whole}<3><0>sum(numbers)<1>",
        f"{head}{whole}<3><0>sum(numbers)<1>len(numbers)<2>",
    ]


def test_a_model_of_regions_is_asked_about_one_hole_after_the_other():
    model, script = speaking(*ANSWERS, region=True)
    done = fill.perform(model, view(NUMBERS), "file", never)
    assert applied(NUMBERS, done.edits) == FILLED
    assert len(script.prompts) == 3
    assert "total = sum(numbers)\n" in script.prompts[1], "each sees those before it"


def test_what_does_not_fit_is_filled_in_several_passes():
    text = "".join(f"def f{n}(x):\n    return ...\n\n\n" for n in range(12))
    model, script = speaking(*["x"] * 12, context=512)
    done = fill.perform(model, view(text), "file", never)
    assert applied(text, done.edits) == text.replace("...", "x")
    assert 1 < len({prompt.partition("<0>")[0] for prompt in script.prompts}) < 12


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        ("...", "empty"),
        ("x = 1\n    " * 20, "repeats itself"),
        ("x = f(1", "unbalanced brackets"),
        ("else:", "would not parse"),
        ("x = " + "1 + 2 * 33 - " * 200, "too long"),
    ],
)
def test_rubbish_leaves_the_hole_as_it_was(answer: str, reason: str):
    text = "def f(x):\n    ...\n    y = x\n    return y\n"
    done = fill.perform(speaking(answer)[0], view(text), "file", never)
    assert (done.edits, done.complete) == ((), False)
    assert done.sentence == f"The hole was left as it was; the model's answer: {reason}."


def test_one_bad_hole_spares_the_others():
    text = "a = ...\nb = ...\nc = ...\n"
    done = fill.perform(speaking("1", ")", "3")[0], view(text), "file", never)
    assert applied(text, done.edits) == "a = 1\nb = ...\nc = 3\n"
    assert done.sentence == "2 of 3 holes were filled; the model's answers to the others: empty."


def test_a_fill_ends_with_its_block():
    text = "def f(x):\n    ...\n\n\nz = 1\n"
    model, _ = speaking("y = x\n    return y\n\n\ndef g():\n    return 2")
    assert (
        applied(text, fill.perform(model, view(text), "file", never).edits)
        == "def f(x):\n    y = x\n    return y\n\n\nz = 1\n"
    )


def test_what_is_offered_where():
    def titles(text: str, chosen: str) -> list[str]:
        return [offer.title for offer in fill.offers(view(text, chosen))]

    function, file = "Fill all 2 holes in this function", "Fill all 3 holes in this file"
    assert titles(NUMBERS, "") == [function, file]
    assert titles(NUMBERS, "best") == ["Fill the selection", "Fill the hole in this function", file]
    both = ["Fill the selection", "Fill the hole in the selection"]
    assert titles(NUMBERS, "total = ...") == [*both, function, file]
    assert titles("x = 1\n", "") == []
    assert titles("x = 1\n" * 1000, "x = 1\n" * 1000) == [], "a selection of 6,000 characters is no hole"
    assert titles("function f() {\n  return ...;\n}\nx = (\n", "return") == [
        "Fill the selection",
        "Fill the hole in this function",
    ]


def test_a_selection_keeps_its_indentation_and_line_end():
    text = "def f(x):\n    y = x\n    z = y\n\nw = 1\n"
    done = fill.perform(speaking("return x")[0], view(text, "    y = x\n    z = y\n"), "selection", never)
    assert applied(text, done.edits) == "def f(x):\n    return x\n\nw = 1\n"


# --- through the server ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaking]:
    yield from session(tmp_path_factory.mktemp("fill"))


def test_from_the_menu_to_the_edit(client: Speaking):
    offered = client.received[0]["result"]["capabilities"]["codeActionProvider"]
    assert "refactor.rewrite.incoder.fill" in offered["codeActionKinds"]
    assert offered["resolveProvider"] is True
    client.say(*ANSWERS)
    text = NUMBERS.replace("\n", "\r\n")
    client.open(URI, text)
    action = menu(client, URI, text, only=["refactor"])["Fill all 3 holes in this file"]
    assert (action["kind"], action["tags"]) == ("refactor.rewrite.incoder.fill", [1])
    assert "edit" not in action
    request = client.request("codeAction/resolve", action)
    token = accept_progress(client)
    resolved = client.reply(request)["result"]
    assert resolved["edit"]["documentChanges"][0]["textDocument"] == {"uri": URI, "version": 1}
    assert edited(text, changes(resolved)) == FILLED.replace("\n", "\r\n")
    notes = resolved["edit"]["changeAnnotations"].values()
    assert [note["label"] for note in notes] == ["Hole 1 of 3", "Hole 2 of 3", "Hole 3 of 3"]
    assert all(note["needsConfirmation"] for note in notes)
    end = client.wait(lambda message: progress(message, token) == "end")
    assert end["params"]["value"]["message"] == "All 3 holes were filled."
    assert client.told() == []


def test_an_editor_asks_for_the_kinds_it_wants(client: Speaking):
    client.open(URI, NUMBERS)
    assert not menu(client, URI, NUMBERS, only=["quickfix"])
    assert menu(client, URI, NUMBERS, only=["refactor.rewrite.incoder.fill"])
    assert not menu(client, URI, NUMBERS, only=["refactor.rewrite.incoder.fil"])
    assert asked(client, "file:///closed.py", "")["result"] is None
    client.notify("workspace/didChangeConfiguration", {"settings": {"enabled": False}})
    assert asked(client, URI, NUMBERS)["result"] is None
    client.notify("workspace/didChangeConfiguration", {"settings": {"enabled": True}})


def test_a_file_that_changes_meanwhile_is_left_alone(client: Speaking):
    client.say(SLOW)
    client.open(URI, NUMBERS)
    action = menu(client, URI, NUMBERS)["Fill all 3 holes in this file"]
    request = client.request("codeAction/resolve", action)
    accept_progress(client)
    client.change(URI, {"range": range_of(NUMBERS, 0, 0), "text": "# a comment\n"})
    assert "edit" not in client.reply(request)["result"], "long before the slow model has ended"
    assert "edit" not in client.ask("codeAction/resolve", action)["result"], "it was offered for another version"
    assert client.told() == ["InCoder: the file has changed; ask again."] * 2


@pytest.mark.parametrize("by", ["request", "progress", "close"])
def test_a_user_can_stop_it(client: Speaking, by: str):
    client.say(SLOW, "1")
    client.open(URI, "a = ...\n")
    action = menu(client, URI, "a = ...\n")["Fill the hole in this file"]
    request = client.request("codeAction/resolve", action)
    token = accept_progress(client)
    if by == "request":
        client.notify("$/cancelRequest", {"id": request})
        assert client.reply(request)["error"]["code"] == CANCELLED
    elif by == "progress":
        client.notify("window/workDoneProgress/cancel", {"token": token})
        assert "edit" not in client.reply(request)["result"]
        assert client.told() == []
    else:
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        assert "edit" not in client.reply(request)["result"]
        client.open(URI, "a = ...\n")
    request = client.request("codeAction/resolve", action)
    accept_progress(client)
    assert client.reply(request)["result"]["edit"], "the worker is free again at once"


@pytest.mark.parametrize("data", [None, 5, {}, {"action": "fill"}, {"action": "nothing", "uri": URI}, "x"])
def test_data_of_no_offer_of_ours_do_nothing(client: Speaking, data: Any):
    client.open(URI, NUMBERS)
    assert "edit" not in client.ask("codeAction/resolve", {"title": "x", "data": data})["result"]


def test_all_cursors_at_once(client: Speaking):
    client.say("1", "2", "3", "4")
    text = "a = \nb = old\n"
    client.open(URI, text)
    ranges = [range_of(text, 9, 12), range_of(text, 4, 4)]
    params = {"textDocument": {"uri": URI}, "ranges": ranges}
    request = client.request("incoder/fillHoles", params)
    accept_progress(client)
    result = client.reply(request)["result"]
    assert edited(text, changes(result)) == "a = 1\nb = 2\n"
    assert result["message"] == "All 2 holes were filled."
    request = client.request("workspace/executeCommand", {"command": "incoder.fillHoles", "arguments": [params]})
    accept_progress(client)
    apply = client.wait(lambda message: message.get("method") == "workspace/applyEdit")
    assert edited(text, changes(apply["params"])) == "a = 3\nb = 4\n"
    client.send(id=apply["id"], result={"applied": True})
    assert client.reply(request)["result"] is None
    for wrong in ({"ranges": []}, {"ranges": 5}, {"textDocument": {"uri": "file:///b"}}, {"textDocument": None}):
        assert client.ask("incoder/fillHoles", {**params, **wrong})["error"]["code"] == INVALID_PARAMS


def test_editors_that_know_less(tmp_path: Path):
    client = Speaking(tmp_path)
    known = {"codeActionLiteralSupport": CODE_ACTION["codeActionLiteralSupport"]}
    ready(client, code_action=known, edit={})
    client.say("1")
    text = "a = ...\n"
    client.open(URI, text)
    action = menu(client, URI, text)["Fill the hole in this file"]
    assert "data" not in action
    assert "tags" not in action
    command = {key: action["command"][key] for key in ("command", "arguments")}
    request = client.request("workspace/executeCommand", command)
    accept_progress(client)
    apply = client.wait(lambda message: message.get("method") == "workspace/applyEdit")
    assert edited(text, apply["params"]["edit"]["changes"][URI]) == "a = 1\n"
    client.send(id=apply["id"], result={"applied": False, "failureReason": "no"})
    assert client.reply(request)["result"] is None
    assert client.end() == 0
