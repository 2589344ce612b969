"""The real command with a real model, tiny and random: from the editor's bytes through the network and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SERVE, Start
from raw_client import INLINE, RawClient, inline, said

FILES = {
    "plain": "def area(width, height):\n    return \n",
    "empty": "",
    "CRLF": "def area(width, height):\r\n    return \r\n",
    "form feed and U+2028": "x = 1\f\n\u2028y = \n",
    "lone CR": "x = 1\ry = \r",
    "emoji": "s = '😀🎉' + \n",
    "half a surrogate pair": "s = '\ud83d' + \n",
    "sentinels": 's = "<|mask:0|>" + "<|endofmask|>" + \n<|endoftext|>\n',
    "metadata": "<| file ext=.py |>\ns = \n",
    "NUL and no text": "\0\1\2 = \n",
    "one long line": "x = [" + "1, " * 20_000,
    "5 MB": "value = 1  # a line of a long file\n" * 145_000,
}


@pytest.fixture(scope="module")
def tiny(model_directory: Path) -> Iterator[RawClient]:
    client = RawClient([*SERVE, "--model", str(model_directory), "--log-level", "info"])
    client.start_and_load(initializationOptions={"maxTokens": 12})
    yield client
    client.close()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [(0, 3), (0, 2**31 - 1), (1, 11), (2**31 - 1, 0)], ids=["in", "end", "two", "last"])
def test_any_file_gets_a_suggestion_on_one_line_or_none(tiny: RawClient, name: str, place: tuple[int, int]):
    uri = f"file:///{name}.py"
    tiny.open(uri, FILES[name])
    result = tiny.ask(INLINE, inline(uri, *place))["result"]
    for item in result["items"] if result else []:
        span = item["range"]
        assert item["insertText"]
        assert span["start"]["line"] == span["end"]["line"]
        assert span["start"]["character"] <= span["end"]["character"]
        assert "<|mask:" not in item["insertText"]
        if name == "CRLF":
            assert item["insertText"].count("\n") == item["insertText"].count("\r\n")
    assert b" ERROR " not in tiny.logged


def test_typing_what_was_suggested_shows_the_rest(tiny: RawClient):
    uri, text = "file:///along.py", FILES["plain"]
    shown = 0
    for line, character in ((0, 0), (0, 9), (1, 11), (2, 0)):
        tiny.open(uri, text)
        result = tiny.ask(INLINE, inline(uri, line, character))["result"]
        if not result or len(said(result["items"][0])) < 2:
            continue
        suggested = said(result["items"][0])
        at = {"line": line, "character": character}
        tiny.change(uri, {"range": {"start": at, "end": at}, "text": suggested[0]})
        if suggested[0] != "\n":
            shown += 1
            again = tiny.ask(INLINE, inline(uri, line, character + 1))["result"]
            assert said(again["items"][0]) == suggested[1:]
    assert shown, "the tiny model suggested nothing anywhere"


def told(client: RawClient) -> list[dict[str, Any]]:
    return [message["params"] for message in client.received if message.get("method") == "window/showMessage"]


def test_a_model_that_cannot_be_loaded_is_one_message_and_then_silence(
    launch: Start, tmp_path: Path, model_directory: Path
):
    client = launch([*SERVE, "--model", str(tmp_path)])
    client.start_and_load()
    client.wait(lambda message: message.get("method") == "window/showMessage")
    client.open("file:///a.py", "x = ")
    for _ in range(3):
        assert client.ask(INLINE, inline("file:///a.py", 0, 4))["result"] is None
    client.notify("workspace/didChangeConfiguration", {"settings": {"model": str(model_directory)}})
    assert client.ask(INLINE, inline("file:///a.py", 0, 4))["result"] is None, "the command line wins"
    (message,) = told(client)
    assert message["type"] == 1
    assert message["message"].startswith("InCoder: ")
    assert str(tmp_path) in message["message"]
    assert "\n" not in message["message"]
    assert client.end() == 0


def test_another_model_can_be_chosen_while_the_server_runs(launch: Start, tmp_path: Path, model_directory: Path):
    client = launch(SERVE)
    client.start_and_load(initializationOptions={"model": str(tmp_path / "missing")})
    client.wait(lambda message: message.get("method") == "window/showMessage")
    first = client.wait(lambda message: message.get("method") == "window/workDoneProgress/create")
    client.notify("workspace/didChangeConfiguration", {"settings": {"incoder": {"model": str(model_directory)}}})
    second = client.wait(lambda m: m.get("method") == "window/workDoneProgress/create" and m["id"] != first["id"])
    client.send(id=second["id"], result=None)
    client.wait(lambda message: "ready" in str(message))
    assert len(told(client)) == 1
    assert client.end() == 0
