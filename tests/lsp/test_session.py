"""A session from its first byte to the exit code, with the scripted model."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
from conftest import SCRIPTED, SERVE, Start
from raw_client import INLINE, RawClient, inline, said, span

NOT_INITIALIZED, INVALID_REQUEST, INVALID_PARAMS = -32002, -32600, -32602
URI = "file:///session.py"


def messages(client: RawClient, method: str) -> list[dict[str, Any]]:
    return [message["params"] for message in client.received if message.get("method") == method]


def test_a_client_newer_than_our_message_types_is_served(scripted: RawClient):
    completion_item = {"insertTextModeSupport": {"valueSet": [1, 3]}, "tagSupport": {"valueSet": [1, 7]}}
    capabilities = {
        "general": {"positionEncodings": ["utf-64", "utf-32"]},
        "workspace": {"workspaceEdit": {"failureHandling": "hope"}},
        "textDocument": {
            "documentSymbol": {"symbolKind": {"valueSet": [1, 99]}},
            "completion": {"completionItem": completion_item, "completionItemKind": {"valueSet": [1, 99]}},
            "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["new.kind"]}}},
            "inlineCompletion": {"dynamicRegistration": True},
            "somethingNew": {"really": True},
        },
    }
    result = scripted.start(capabilities=capabilities, trace="loud", somethingElse=1)
    assert result["capabilities"]["positionEncoding"] == "utf-32"
    assert result["capabilities"]["inlineCompletionProvider"] == {}
    assert "completionProvider" not in result["capabilities"], "nobody wants to see a suggestion twice"
    assert scripted.end() == 0


def test_the_states_of_a_session(scripted: RawClient):
    assert scripted.ask(INLINE, inline(URI, 0, 0))["error"]["code"] == NOT_INITIALIZED
    scripted.open(URI, "ignored")
    assert scripted.ask("initialize", {"capabilities": 5})["error"]["code"] == INVALID_PARAMS
    assert scripted.ask("initialize", {})["error"]["code"] == INVALID_PARAMS
    scripted.start_and_load()
    assert scripted.ask("initialize", {"capabilities": {}})["error"]["code"] == INVALID_REQUEST
    assert scripted.ask(INLINE, inline(URI, 0, 0))["result"] is None
    scripted.open(URI, "slow")
    request = scripted.request(INLINE, inline(URI, 0, 4))
    assert scripted.ask("shutdown")["result"] is None
    assert "error" in scripted.reply(request), "what is in the air at shutdown is answered"
    assert scripted.ask(INLINE, inline(URI, 0, 0))["error"]["code"] == INVALID_REQUEST
    scripted.notify("exit", None)
    assert scripted.exit_code() == 0


def test_a_request_before_the_model_is_there_is_answered_null(launch: Start):
    client = launch([*SCRIPTED, "--load", "30"])
    client.start()
    client.open(URI, "fast")
    assert client.ask(INLINE, inline(URI, 0, 4))["result"] is None
    popup = client.ask("textDocument/completion", {key: inline(URI, 0, 4)[key] for key in ("textDocument", "position")})
    assert popup["result"] == {"isIncomplete": True, "items": []}
    client.notify("exit", None)
    assert client.exit_code() == 1, "exit without shutdown is a failure"


@pytest.mark.parametrize("way", [[], ["--no-daemon"]], ids=["through the daemon", "one process"])
def test_the_end_of_stdin_ends_a_server_that_is_loading(launch: Start, way: list[str]):
    client = launch([*SERVE, *way])
    capabilities = client.start()["capabilities"]
    assert capabilities["inlineCompletionProvider"] == {}
    assert capabilities["completionProvider"] == {"triggerCharacters": ["."]}
    assert capabilities["positionEncoding"] == "utf-16"
    assert capabilities["textDocumentSync"] == {"openClose": True, "change": 2, "save": {}}
    client.ask("shutdown")
    assert client.process.stdin
    client.process.stdin.close()
    assert client.exit_code() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the parent is watched with signal 0, which Windows has not")
def test_the_server_ends_with_the_editor_that_started_it(scripted: RawClient):
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    scripted.start(processId=editor.pid)
    time.sleep(1.5)  # longer than the server takes to look for the first time
    assert scripted.process.poll() is None
    editor.kill()
    editor.wait()
    assert scripted.exit_code() == 1


def test_settings_are_taken_and_what_is_wrong_with_them_is_told_once(scripted: RawClient):
    scripted.start_and_load(initializationOptions={"maxToken": 3, "debounceMs": "fast"})
    (told,) = messages(scripted, "window/logMessage")
    assert told["type"] == 2
    assert told["message"] == (
        "incoder.maxToken is no setting; the nearest one is incoder.maxTokens. "
        "incoder.debounceMs must be a whole number from 0 to 5000."
    )
    scripted.open(URI, "fast")
    assert scripted.ask(INLINE, inline(URI, 0, 4))["result"]
    scripted.notify("workspace/didChangeConfiguration", {"settings": {"incoder": {"enabled": False}}})
    assert scripted.ask(INLINE, inline(URI, 0, 4))["result"] is None
    scripted.notify("workspace/didChangeConfiguration", {"settings": {"enabled": True}})
    assert scripted.ask(INLINE, inline(URI, 0, 4))["result"]
    scripted.notify("workspace/didChangeConfiguration", {"settings": None})
    assert scripted.ask(INLINE, inline(URI, 0, 4))["result"]
    assert len(messages(scripted, "window/logMessage")) == 1


POPUPS = [("lines", 5, "linesone"), ("é ${x}", 3, "|é $|{x}|"), ("nothing", 7, None)]


@pytest.mark.parametrize("snippets", [True, False])
def test_the_popup_gets_one_line_joined_to_the_word(scripted: RawClient, snippets: bool):
    scripted.start_and_load(
        capabilities={"textDocument": {"completion": {"completionItem": {"snippetSupport": snippets}}}}
    )
    for text, character, expected in POPUPS:
        scripted.open(URI, text)
        place = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": character}}
        result = scripted.ask("textDocument/completion", place)["result"]
        assert result["isIncomplete"] is True
        assert [item["label"] for item in result["items"]] == ([expected] if expected else [])
        for item in result["items"]:
            escaped = item["label"].replace("$", "\\$").replace("}", "\\}") if snippets else item["label"]
            assert item["textEdit"]["newText"] == escaped
            assert item["insertTextFormat"] == (2 if snippets else 1)
            assert (item["filterText"], item["sortText"]) == (item["label"], "~")
            assert item["labelDetails"] == {"description": "incoder"}
            start = 0 if text == "lines" else 3
            assert item["textEdit"]["range"] == span((0, start), (0, character))
    scripted.open(URI, "lines\r\n")
    assert said(scripted.ask(INLINE, inline(URI, 0, 5))["result"]["items"][0]) == "one\r\ntwo"


def test_a_client_that_declines_the_progress_gets_its_suggestions(scripted: RawClient):
    scripted.start(capabilities={"window": {"workDoneProgress": True}})
    create = scripted.wait(lambda message: message.get("method") == "window/workDoneProgress/create")
    scripted.send(id=create["id"], error={"code": -32601, "message": "no"})
    scripted.open(URI, "fast")
    while scripted.ask(INLINE, inline(URI, 0, 4))["result"] is None:
        time.sleep(0.01)
    assert messages(scripted, "$/progress") == []
    assert messages(scripted, "window/showMessage") == []


def test_logs_hold_no_text_of_the_user(scripted: RawClient):
    scripted.start_and_load()
    for text in ("fails # SECRET", "nothing # SECRET", "slow # SECRET"):
        scripted.open(URI, text)
        scripted.request(INLINE, inline(URI, 0, 5))
    scripted.change(URI, {"range": "SECRET"})
    scripted.send(id=99, method=INLINE, params={"position": "SECRET"})
    scripted.write_message(b'{"SECRET": ')
    assert scripted.ask(INLINE, inline("file:///other.py", 0, 0))["result"] is None
    assert scripted.process.stdin
    scripted.process.stdin.close()  # while the model thinks
    assert scripted.exit_code() == 1
    assert b"SECRET" not in scripted.logged
    assert b"Traceback" not in scripted.logged
    assert scripted.logged, "the log level is debug: something is logged"
