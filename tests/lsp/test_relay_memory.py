"""What a relay remembers of a session: messages in both directions go in, what a new daemon must hear comes out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.daemon.memory import CONTENT_MODIFIED, REPLAYED, Memory

URI = "file:///a.py"


def body(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode()


def opened(text: str, uri: str = URI, version: int = 1) -> bytes:
    document = {"uri": uri, "languageId": "python", "version": version, "text": text}
    return body(method="textDocument/didOpen", params={"textDocument": document})


def changed(*changes: Any, version: Any = 2) -> bytes:
    params = {"textDocument": {"uri": URI, "version": version}, "contentChanges": list(changes)}
    return body(method="textDocument/didChange", params=params)


def edit(start: tuple[int, int], end: tuple[int, int], text: Any) -> dict[str, Any]:
    places = [{"line": line, "character": character} for line, character in (start, end)]
    return {"range": {"start": places[0], "end": places[1]}, "text": text}


def configured(**settings: Any) -> bytes:
    return body(method="workspace/didChangeConfiguration", params={"settings": settings})


def session(*messages: bytes, encoding: str = "utf-16") -> Memory:
    memory = Memory()
    memory.sent(body(id=1, method="initialize", params={"processId": 42, "capabilities": {}}))
    memory.received(body(id=1, result={"capabilities": {"positionEncoding": encoding}}))
    memory.sent(body(method="initialized", params={}))
    for message in messages:
        memory.sent(message)
    return memory


def replayed(memory: Memory) -> list[dict[str, Any]]:
    return [json.loads(message) for message in memory.replay()]


def texts(memory: Memory) -> dict[str, str]:
    documents = [message["params"]["textDocument"] for message in replayed(memory) if "didOpen" in message["method"]]
    return {document["uri"]: document["text"] for document in documents}


def buried(memory: Memory, for_good: bool = False) -> list[dict[str, Any]]:
    return [json.loads(message) for message in memory.bury(for_good)]


def test_a_session_is_replayed_in_its_order():
    memory = session(configured(maxTokens=3), opened("x = 1\n"), configured(enabled=False), configured(maxTokens=3))
    assert memory.process == 42
    first, *rest = replayed(memory)
    assert (first["method"], first["id"], first["params"]["processId"]) == ("initialize", REPLAYED, 42)
    assert [message["method"] for message in rest] == [
        "initialized",
        "workspace/didChangeConfiguration",
        "workspace/didChangeConfiguration",
        "textDocument/didOpen",
    ]
    assert rest[1]["params"]["settings"] == {"enabled": False}, "settings add up, and of equal ones the last counts"
    assert rest[2]["params"]["settings"] == {"maxTokens": 3}
    assert memory.received(body(id=REPLAYED, result={})) is False, "the editor never asked that"
    assert memory.received(body(id=7, result={})) is True


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 4), ("utf-16", 2), ("utf-32", 1)])
def test_a_file_is_replayed_as_it_is_now(encoding: str, column: int):
    memory = session(opened("😀b\r\nc"), encoding=encoding)
    memory.sent(changed(edit((0, column), (0, column + 1), "B"), edit((1, 0), (1, 0), ">"), version=9))
    (document,) = [message["params"]["textDocument"] for message in replayed(memory) if "didOpen" in message["method"]]
    assert document == {"uri": URI, "languageId": "python", "version": 9, "text": "😀B\r\n>c"}
    memory.sent(changed({"text": "all new"}))
    assert texts(memory) == {URI: "all new"}
    memory.sent(body(method="textDocument/didClose", params={"textDocument": {"uri": URI}}))
    assert texts(memory) == {}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.text("ab\n", max_size=3)), max_size=8))
def test_any_edits_are_in_the_replay(edits: list[tuple[int, int, str]]):
    text = "one\ntwo\nthree"
    memory = session(opened(text))
    for a, b, inserted in edits:
        start, end = sorted((a % (len(text) + 1), b % (len(text) + 1)))
        places = [(text.count("\n", 0, at), at - (text.rfind("\n", 0, at) + 1)) for at in (start, end)]
        memory.sent(changed(edit(places[0], places[1], inserted)))
        text = text[:start] + inserted + text[end:]
    assert texts(memory) == {URI: text}


@pytest.mark.parametrize(
    "message",
    [
        changed(edit((-1, 0), (0, 0), "x")),
        changed(edit((0, 0), (0, 0), 5)),
        changed({"range": "all"}),
        changed("text"),
        changed({"text": "x"}, version="two"),
        body(method="textDocument/didChange", params={"textDocument": {"uri": URI}}),
    ],
    ids=str,
)
def test_a_file_whose_change_cannot_be_read_is_forgotten(message: bytes):
    assert texts(session(opened("text"), opened("other", uri="file:///b.py"), message)) == {"file:///b.py": "other"}


@pytest.mark.parametrize("message", [b"", b"{", b"[1]", b"5", b"\xff", b"[" * 100_000, b'{"method": 5, "id": {}}'])
def test_what_is_no_message_is_passed_on_and_not_remembered(message: bytes):
    memory = session(message)
    assert len(replayed(memory)) == 2
    assert buried(memory) == []


def test_open_requests_are_answered_with_an_error_that_editors_pass_over():
    memory = session()
    memory.sent(body(id=2, method="textDocument/inlineCompletion", params={}))
    memory.sent(body(id="x", method="textDocument/completion", params={}))
    memory.sent(body(id=3, method="textDocument/completion", params={}))
    memory.received(body(id=3, result=None))
    answers = buried(memory)
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [
        (2, CONTENT_MODIFIED),
        ("x", CONTENT_MODIFIED),
    ]
    assert buried(memory) == [], "once"


def test_progress_that_nobody_will_end_is_ended():
    memory = session()
    for token, kind in (("a", "begin"), ("b", "begin"), ("a", "end")):
        memory.received(body(method="$/progress", params={"token": token, "value": {"kind": kind}}))
    (end,) = buried(memory)
    assert end["params"] == {"token": "b", "value": {"kind": "end"}}


def test_what_a_dead_daemon_had_registered_is_taken_back():
    memory = session()
    for name, method, entries in (
        ("registrations", "client/registerCapability", [{"id": "a", "method": "m"}, {"id": "b", "method": "n"}]),
        ("unregisterations", "client/unregisterCapability", [{"id": "a", "method": "m"}]),
        ("registrations", "client/registerCapability", "none"),
    ):
        assert memory.received(body(id=9, method=method, params={name: entries})) is True
    (gone,) = buried(memory)
    assert (gone["method"], gone["params"]) == (
        "client/unregisterCapability",
        {"unregisterations": [{"id": "b", "method": "n"}]},
    )
    assert buried(memory) == [], "once"


@pytest.mark.parametrize(
    ("event", "uris"),
    [
        ({"added": [{"uri": "b"}], "removed": [{"uri": "a"}]}, ["b"]),
        ({"added": [{"uri": "b"}, 5], "removed": "a"}, ["a", "b"]),
        ("none", ["a"]),
    ],
)
def test_a_new_daemon_hears_of_the_folders_of_now(event: Any, uris: list[str]):
    memory = Memory()
    memory.sent(body(id=1, method="initialize", params={"workspaceFolders": [{"uri": "a"}]}))
    memory.received(body(id=1, result={}))
    memory.sent(body(method="workspace/didChangeWorkspaceFolders", params={"event": event}))
    first = replayed(memory)[0]
    assert [folder["uri"] for folder in first["params"]["workspaceFolders"]] == uris


def test_an_initialize_without_an_answer_is_asked_again_by_its_own_id():
    memory = Memory()
    memory.sent(body(id=1, method="initialize", params={"capabilities": {}}))
    assert buried(memory) == []
    assert [(message["method"], message["id"]) for message in replayed(memory)] == [("initialize", 1)]
    assert memory.received(body(id=1, result={})) is True
    assert buried(memory, for_good=True) == []


def test_an_initialize_is_answered_where_nobody_is_left_to_ask():
    memory = Memory()
    memory.sent(body(id=1, method="initialize", params={"capabilities": {}}))
    assert [answer["id"] for answer in buried(memory, for_good=True)] == [1]


def test_an_initialize_that_was_refused_is_no_session():
    memory = Memory()
    memory.sent(body(id=1, method="initialize", params=5))
    memory.received(body(id=1, error={"code": -32602, "message": "no"}))
    memory.sent(opened("text"))
    assert replayed(memory) == []


@pytest.mark.parametrize("answered", [True, False])
def test_a_shutdown_holds_even_if_the_daemon_dies_of_it(answered: bool):
    memory = session()
    memory.sent(body(id=5, method="shutdown"))
    assert not memory.shut_down
    if answered:
        memory.received(body(id=5, result=None))
    assert [message.get("result", "?") for message in buried(memory)] == ([] if answered else [None])
    assert memory.shut_down


# --- notebooks ---------------------------------------------------------------------------------------------------


def cell(number: int, text: str = "") -> dict[str, Any]:
    return {"uri": f"cell:#{number}", "languageId": "python", "version": 1, "text": text}


def kinds(*numbers: int) -> list[dict[str, Any]]:
    return [{"kind": 2, "document": f"cell:#{number}"} for number in numbers]


def notebook_opened(*texts: str) -> bytes:
    notebook = {"uri": "file:///n.ipynb", "notebookType": "jupyter", "version": 1, "cells": kinds(*range(len(texts)))}
    cells = [cell(number, text) for number, text in enumerate(texts)]
    return body(method="notebookDocument/didOpen", params={"notebookDocument": notebook, "cellTextDocuments": cells})


def notebook_changed(cells: Any) -> bytes:
    params = {"notebookDocument": {"uri": "file:///n.ipynb", "version": 2}, "change": {"cells": cells}}
    return body(method="notebookDocument/didChange", params=params)


def notebooks(memory: Memory) -> list[dict[str, Any]]:
    return [one["params"] for one in replayed(memory) if one["method"] == "notebookDocument/didOpen"]


def test_a_notebook_is_replayed_as_it_is_now():
    content = {"document": {"uri": "cell:#0", "version": 2}, "changes": [edit((0, 0), (0, 1), "y")]}
    array = {"start": 1, "deleteCount": 1, "cells": kinds(7, 8)}
    structure = {"array": array, "didOpen": [cell(7, "new"), cell(8, "newer")], "didClose": [{"uri": "cell:#1"}]}
    memory = session(
        opened("a"),
        notebook_opened("x = 1", "gone"),
        notebook_changed({"textContent": [content], "structure": structure}),
    )
    (replayed_notebook,) = notebooks(memory)
    assert replayed_notebook["notebookDocument"]["cells"] == kinds(0, 7, 8)
    assert [one["text"] for one in replayed_notebook["cellTextDocuments"]] == ["y = 1", "new", "newer"]
    assert texts_of_files(memory) == {URI: "a"}


def texts_of_files(memory: Memory) -> dict[str, str]:
    files = [one["params"]["textDocument"] for one in replayed(memory) if one["method"] == "textDocument/didOpen"]
    return {file["uri"]: file["text"] for file in files}


@pytest.mark.parametrize(
    "cells", [5, {"structure": 5}, {"structure": {"array": {"start": "a"}}}, {"textContent": [{}]}]
)
def test_a_notebook_whose_change_cannot_be_read_is_forgotten(cells: Any):
    memory = session(notebook_opened("x"), notebook_changed(cells))
    assert (notebooks(memory) == []) is (cells != 5), "a change that says nothing of cells changes none"
    assert texts_of_files(memory) == {}


def test_a_closed_notebook_is_forgotten():
    closed = {"notebookDocument": {"uri": "file:///n.ipynb"}, "cellTextDocuments": [{"uri": "cell:#0"}]}
    memory = session(notebook_opened("x"), body(method="notebookDocument/didClose", params=closed))
    assert (notebooks(memory), texts_of_files(memory)) == ([], {})
