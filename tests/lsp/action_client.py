"""What tests of actions share: a client that knows them, the menu at a place, and edits made as an editor makes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raw_client import RawClient

SPEAKING = [sys.executable, str(Path(__file__).parent / "speaking_server.py")]
INVALID_PARAMS, CANCELLED = -32602, -32800
CODE_ACTION = {
    "codeActionLiteralSupport": {"codeActionKind": {"valueSet": [""]}},
    "resolveSupport": {"properties": ["edit"]},
    "dataSupport": True,
    "tagSupport": {"valueSet": [1]},
}
EDIT = {"documentChanges": True, "changeAnnotationSupport": {}}


def ready(client: RawClient, code_action: Any = CODE_ACTION, edit: Any = EDIT, **options: Any) -> RawClient:
    """Initialized, its model there."""
    capabilities = {"textDocument": {"codeAction": code_action}, "workspace": {"workspaceEdit": edit}}
    client.start_and_load(capabilities=capabilities, **options)
    return client


class Speaking(RawClient):
    """A server whose model says what it is told to."""

    def __init__(self, directory: Path):
        self._answers = directory / "answers.json"
        self.say()
        super().__init__([*SPEAKING, str(self._answers)])

    def say(self, *answers: str) -> None:
        """From now on."""
        self._answers.write_text(json.dumps(answers), encoding="utf-8")

    def told(self) -> list[str]:
        """The messages that the user has seen since this was last asked."""
        seen = [message for message in self.received if message.get("method") == "window/showMessage"]
        for message in seen:
            self.received.remove(message)
        return [message["params"]["message"] for message in seen]


def session(directory: Path) -> Iterator[Speaking]:
    client = Speaking(directory)
    ready(client)
    yield client
    assert client.end() == 0
    client.close()


def range_of(text: str, start: int, end: int) -> dict[str, Any]:
    """Of ASCII text."""

    def position(offset: int) -> dict[str, int]:
        before = text[:offset].replace("\r\n", "\n")
        return {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}

    return {"start": position(start), "end": position(end)}


def asked(client: RawClient, uri: str, text: str, chosen: str = "", **context: Any) -> dict[str, Any]:
    """The whole reply to a request for actions where `chosen` first stands in `text`."""
    start = text.index(chosen)
    params = {
        "textDocument": {"uri": uri},
        "range": range_of(text, start, start + len(chosen)),
        "context": {"diagnostics": [], **context},
    }
    return client.ask("textDocument/codeAction", params)


def menu(client: RawClient, uri: str, text: str, chosen: str = "", **context: Any) -> dict[str, dict[str, Any]]:
    """The actions by their titles."""
    return {action["title"]: action for action in asked(client, uri, text, chosen, **context)["result"] or []}


def accept_progress(client: RawClient) -> str:
    """Agree to the next progress that the server asks for; its token, once it has begun."""
    create = client.wait(
        lambda message: message.get("method") == "window/workDoneProgress/create" and "done" not in message
    )
    create["done"] = True
    token = create["params"]["token"]
    client.send(id=create["id"], result=None)
    client.wait(lambda message: progress(message, token) == "begin")
    return token


def progress(message: dict[str, Any], token: str) -> str:
    """Which part of this progress a message is."""
    of_it = message.get("method") == "$/progress" and message["params"]["token"] == token
    return message["params"]["value"]["kind"] if of_it else ""


def edited(text: str, edits: list[dict[str, Any]]) -> str:
    """ASCII text with an editor's edits made."""
    lines = [*text.splitlines(keepends=True), ""]

    def offset(position: dict[str, int]) -> int:
        return sum(map(len, lines[: position["line"]])) + position["character"]

    for edit in sorted(edits, key=lambda one: offset(one["range"]["start"]), reverse=True):
        start, end = (offset(edit["range"][side]) for side in ("start", "end"))
        text = text[:start] + edit["newText"] + text[end:]
    return text


def changes(action: dict[str, Any]) -> list[dict[str, Any]]:
    """The text edits of an action whose edit is of one document."""
    (document,) = action["edit"]["documentChanges"]
    return document["edits"]
