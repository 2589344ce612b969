"""How a session and an editor talk about settings, with the scripted model: in one process and through the daemon."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import SERVE, Start
from daemon_probe import until, who
from raw_client import INLINE, RawClient, inline

ASKED, REGISTER, UNREGISTER = "workspace/configuration", "client/registerCapability", "client/unregisterCapability"
ABLE = {
    "workspace": {
        "configuration": True,
        "didChangeConfiguration": {"dynamicRegistration": True},
        "didChangeWatchedFiles": {"dynamicRegistration": True},
    }
}


def take(client: RawClient, method: str) -> dict[str, Any]:
    """The server's next request of this name, which is then answered by the caller."""
    message = client.wait(lambda message: message.get("method") == method and not message.get("taken"))
    message["taken"] = True
    return message


def answer(client: RawClient, *settings: Any) -> list[dict[str, Any]]:
    """Say them when asked; returns what was asked for."""
    asked = take(client, ASKED)
    client.send(id=asked["id"], result=[*settings])
    return asked["params"]["items"]


def register(client: RawClient) -> list[str]:
    asked = take(client, REGISTER)
    client.send(id=asked["id"], result=None)
    return [one["method"] for one in asked["params"]["registrations"]]


def suggests(client: RawClient, uri: str, kind: int = 1) -> bool:
    return bool(client.ask(INLINE, inline(uri, 0, 4, kind=kind))["result"])


def started(client: RawClient, *folders: Path, capabilities: dict[str, Any] = ABLE, **params: Any) -> None:
    roots = [{"uri": folder.as_uri(), "name": folder.name} for folder in folders]
    client.start(capabilities=capabilities, workspaceFolders=roots, **params)


def loaded(client: RawClient, uri: str) -> None:
    client.open(uri, "fast")
    until("a suggestion", lambda: suggests(client, uri))


def test_an_editor_that_can_be_asked_is_asked_for_each_folder_and_again(scripted: RawClient, tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    started(scripted, one, two)
    assert register(scripted) == ["workspace/didChangeConfiguration", "workspace/didChangeWatchedFiles"]
    items = answer(scripted, {"debounceMs": 0}, None, {"enabled": False})
    assert items == [
        {"section": "incoder"},
        {"scopeUri": one.as_uri(), "section": "incoder"},
        {"scopeUri": two.as_uri(), "section": "incoder"},
    ]
    on, off = (one / "a.py").as_uri(), (two / "a.py").as_uri()
    loaded(scripted, on)
    scripted.open(off, "fast")
    assert not suggests(scripted, off)
    scripted.notify("workspace/didChangeConfiguration", {"settings": None})
    answer(scripted, {"enabled": False}, {"enabled": False}, {"enabled": True})
    until("silence", lambda: not suggests(scripted, on))
    assert suggests(scripted, off)
    scripted.notify("workspace/didChangeConfiguration", {"settings": {"incoder": {"enabled": True}}})
    until("speech", lambda: suggests(scripted, on))
    assert [message for message in scripted.received if message.get("method") == "window/logMessage"] == []


def test_an_editor_that_refuses_or_is_silent_gets_its_suggestions(scripted: RawClient, tmp_path: Path):
    started(scripted, tmp_path)
    refused = take(scripted, ASKED)
    scripted.send(id=refused["id"], error={"code": -32601, "message": "no"})
    loaded(scripted, (tmp_path / "a.py").as_uri())  # though nobody registers anything


def test_an_editor_that_cannot_be_asked_is_not(scripted: RawClient, tmp_path: Path):
    started(scripted, tmp_path, capabilities={})
    loaded(scripted, (tmp_path / "a.py").as_uri())
    scripted.notify("workspace/didChangeConfiguration", {"settings": None})
    assert suggests(scripted, (tmp_path / "a.py").as_uri())
    methods = {message.get("method") for message in scripted.received}
    assert methods.isdisjoint({ASKED, REGISTER})


@pytest.mark.parametrize("word", ["textDocument/didSave", "workspace/didChangeWatchedFiles"])
def test_a_workspaces_file_and_what_git_ignores_are_heeded_when_they_change(
    scripted: RawClient, tmp_path: Path, word: str
):
    (tmp_path / ".git").mkdir()
    uri, file, ignore = (tmp_path / "a.py").as_uri(), tmp_path / ".incoder.toml", tmp_path / ".gitignore"
    started(scripted, tmp_path, capabilities={})
    loaded(scripted, uri)
    changes = {"textDocument": {"uri": file.as_uri()}, "changes": [{"uri": file.as_uri(), "type": 2}]}

    file.write_text("enabled = false\n", encoding="utf-8")
    scripted.notify(word, changes)
    assert not suggests(scripted, uri)
    file.unlink()
    ignore.write_text("a.*\n", encoding="utf-8")
    scripted.notify(word, changes)
    assert suggests(scripted, uri), "it is asked for"
    assert not suggests(scripted, uri, kind=2)
    file.write_text("enabled = ", encoding="utf-8")
    scripted.notify(word, changes)
    scripted.notify(word, changes)
    assert suggests(scripted, uri)
    told = [message["params"] for message in scripted.received if message.get("method") == "window/showMessage"]
    assert len(told) == 1
    assert told[0]["message"].startswith(f"InCoder: {file} is not TOML: ")


def test_languages_that_are_switched_off(scripted: RawClient, tmp_path: Path):
    started(scripted, tmp_path, capabilities={}, initializationOptions={"offLanguages": ["markdown"]})
    loaded(scripted, (tmp_path / "a.py").as_uri())
    document = {"uri": (tmp_path / "a").as_uri(), "languageId": "markdown", "version": 1, "text": "fast"}
    scripted.notify("textDocument/didOpen", {"textDocument": document})
    assert not suggests(scripted, document["uri"])


def test_the_users_file_is_that_of_the_editors_environment_through_the_daemon_too(
    launch: Start, runtime: Path, tmp_path: Path
):
    file = tmp_path / "incoder" / "config.toml"
    file.parent.mkdir()
    file.write_text("maxToken = 3\n", encoding="utf-8")
    for config, way in (("elsewhere", []), (str(tmp_path), []), (str(tmp_path), ["--no-daemon"])):
        client = launch([*SERVE, *way], XDG_RUNTIME_DIR=str(runtime), XDG_CONFIG_HOME=config)
        client.start()
        client.end()
        told = [
            message["params"]["message"] for message in client.received if message.get("method") == "window/logMessage"
        ]
        expected = f"{file}: maxToken is no setting; the nearest one is maxTokens."
        assert told == ([] if config == "elsewhere" else [expected])


@pytest.mark.skipif(sys.platform == "win32", reason="there is no daemon on Windows yet")
def test_settings_and_registrations_outlive_a_daemon(relay: Start, tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    client = relay()
    started(client, one)
    register(client)
    answer(client, None, None)
    process, _ = who(client)
    event = {"added": [{"uri": two.as_uri(), "name": "two"}], "removed": [{"uri": one.as_uri(), "name": "one"}]}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
    answer(client, None, None)
    client.notify("workspace/didChangeConfiguration", {"settings": {"maxTokens": 3}})
    os.kill(process, signal.SIGKILL)

    gone = take(client, UNREGISTER)
    client.send(id=gone["id"], result=None)
    assert sorted(one["method"] for one in gone["params"]["unregisterations"]) == sorted(register(client))
    items = answer(client, None, {"enabled": False})
    assert [item.get("scopeUri") for item in items] == [None, two.as_uri()], "the folders are those of now"
    assert who(client)[0] != process
    client.open((two / "a.py").as_uri(), "fast")
    assert not suggests(client, (two / "a.py").as_uri())
    assert client.end() == 0
