"""One session that hears every kind of nonsense: each request is answered once, and the server lives on."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from conftest import SCRIPTED
from raw_client import INLINE, RawClient, inline, said, span

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, CANCELLED = -32700, -32600, -32601, -32602, -32800

WHERE = {"textDocument": {"uri": "file:///bad.py"}, "position": {"line": 0, "character": 0}}
BAD_PARAMS: dict[str, Any] = {
    "no params": None,
    "a number": 5,
    "a list": [],
    "no context": WHERE,
    "an unknown trigger": {**WHERE, "context": {"triggerKind": 0}},
    "no position": {"textDocument": {"uri": "file:///bad.py"}, "context": {"triggerKind": 1}},
    "a negative line": {**inline("file:///bad.py", -1, 0)},
    "a word for a line": {**WHERE, "position": {"line": "one", "character": 0}, "context": {"triggerKind": 1}},
    "null for a document": {**WHERE, "textDocument": None, "context": {"triggerKind": 1}},
}


def text_at(client: RawClient, uri: str, line: int, character: int) -> str | None:
    """What the scripted model sees at a place."""
    result = client.ask(INLINE, inline(uri, line, character))["result"]
    return result and said(result["items"][0])


@pytest.mark.parametrize("name", BAD_PARAMS)
def test_params_that_cannot_be_read_are_answered(client: RawClient, name: str):
    error = client.ask(INLINE, BAD_PARAMS[name])["error"]
    assert error["code"] == INVALID_PARAMS
    assert error["message"].startswith(f"{INLINE} cannot be read: ")
    assert "\n" not in error["message"]


def test_the_sentence_names_the_place(client: RawClient):
    message = client.ask(INLINE, BAD_PARAMS["an unknown trigger"])["error"]["message"]
    assert message.endswith("at params.context.triggerKind.")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", PARSE_ERROR),
        (b'{"jsonrpc": "2.0", "id": 1, "meth', PARSE_ERROR),
        (b"\xff\xfe\xfd", PARSE_ERROR),
        (b'{"jsonrpc": "2.0", "method": "\xe9"}', PARSE_ERROR),
        (b"[" * 100_000, PARSE_ERROR),
        (b"[]", INVALID_REQUEST),
        (b'"hello"', INVALID_REQUEST),
        (b"{}", INVALID_REQUEST),
        (b'{"jsonrpc": "2.0"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "method": 7}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "shutdown"}', INVALID_REQUEST),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bodies_that_are_no_messages_are_answered(client: RawClient, body: bytes, code: int):
    before = len(client.received)
    client.write_message(body)
    client.wait(lambda message: message in client.received[before:] and message.get("error", {}).get("code") == code)


def test_an_invalid_request_is_answered_by_its_id(client: RawClient):
    client.write_message(b'{"jsonrpc": "1.0", "id": "old", "method": "shutdown"}')
    assert client.reply("old")["error"]["code"] == INVALID_REQUEST


def test_an_unknown_method_is_answered(client: RawClient):
    assert client.ask("incoder/noSuchThing")["error"]["code"] == NO_METHOD
    client.send(id="bare", method="incoder/noSuchThing")
    assert client.reply("bare")["error"]["code"] == NO_METHOD


@pytest.mark.parametrize(
    "message",
    [
        {"method": "$/cancelRequest", "params": {"id": 987654}},
        {"method": "$/cancelRequest", "params": {}},
        {"method": "$/cancelRequest"},
        {"method": "$/unknown", "params": 5},
        {"method": "textDocument/didOpen", "params": {}},
        {"method": "textDocument/didChange"},
        {"method": "textDocument/didClose", "params": {"textDocument": {"uri": "file:///never-opened.py"}}},
        {"method": "workspace/didChangeConfiguration", "params": {"settings": [1, 2]}},
        {"id": "nobody asked", "result": 1},
        {"id": None, "error": {"code": 1, "message": "you sent nonsense"}},
    ],
    ids=str,
)
def test_odd_notifications_and_responses_are_survived(client: RawClient, message: dict[str, Any]):
    client.send(**message)
    assert client.ask(INLINE, inline("file:///nowhere.py", 0, 0))["result"] is None


def test_header_names_have_no_case_and_other_headers_are_read_over(client: RawClient):
    body = json.dumps(
        {"jsonrpc": "2.0", "id": "header", "method": INLINE, "params": inline("file:///x", 0, 0)}
    ).encode()
    client.write(b"content-type: application/vscode-jsonrpc\r\nCONTENT-length:%d\r\n\r\n%s" % (len(body), body))
    assert client.reply("header")["result"] is None


def test_a_header_without_a_length_is_answered(client: RawClient):
    before = len(client.received)
    client.write(b"Content-Size: 10\r\n\r\n")
    client.wait(lambda message: message in client.received[before:] and "Content-Length" in str(message))
    assert client.ask(INLINE, inline("file:///x", 0, 0))["result"] is None


def test_after_a_length_that_was_too_short_the_next_message_is_found(client: RawClient):
    body = b'{"jsonrpc": "2.0", "method": "$/one"}'
    client.write(b"Content-Length: %d\r\n\r\n%s" % (len(body) - 9, body))
    assert client.ask(INLINE, inline("file:///x", 0, 0))["result"] is None


def test_files_that_are_not_open_have_no_suggestions(client: RawClient):
    uri = "file:///opened-and-closed.py"
    assert text_at(client, uri, 0, 0) is None
    client.open(uri, "text")
    assert text_at(client, uri, 0, 4) == "|ext||"
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert text_at(client, uri, 0, 4) is None
    client.change(uri, {"text": "text"})
    assert text_at(client, uri, 0, 4) is None


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "file:///a%0Ab.py", "file:///%zz", "http://[x", "", "C:\\a.py"])
def test_any_uri_is_only_a_name(client: RawClient, uri: str):
    client.open(uri, "abc def")
    assert text_at(client, uri, 0, 3) == "|abc| de|"


def test_positions_outside_the_text_are_moved_into_it(client: RawClient):
    uri = "file:///outside.py"
    client.open(uri, "one\r\ntwo")
    assert text_at(client, uri, 0, 2**31 - 1) == "|one|\r\nt|"
    assert text_at(client, uri, 2**31 - 1, 0) == "|two||"
    items = client.ask(INLINE, inline(uri, 99, 99))["result"]["items"]
    assert items[0]["range"] == span((1, 0), (1, 3)), "over the word that is being typed"


def test_an_empty_file_has_a_suggestion(client: RawClient):
    client.open("file:///empty.py", "")
    assert text_at(client, "file:///empty.py", 0, 0) == "|||"


def test_the_mirror_keeps_lsp_line_ends(client: RawClient):
    uri = "file:///ends.py"
    client.open(uri, "a\fb\u2028c\x0bd\x85\ne\rf\r\ng")
    assert text_at(client, uri, 1, 1) == "|\x85\ne|\rf\r|"
    client.change(uri, {"range": span((1, 0), (1, 1)), "text": "E"})
    assert text_at(client, uri, 1, 1) == "|\x85\nE|\rf\r|"
    assert text_at(client, uri, 3, 1) == "|\r\ng||"


def test_text_that_looks_like_a_sentinel_is_text(client: RawClient):
    uri = "file:///sentinel.py"
    client.open(uri, 'hole = "<|mask:0|>" + "<|endofmask|>"')
    assert text_at(client, uri, 0, 15) == "|sk:|0|>|"


def test_half_a_surrogate_pair_is_survived(client: RawClient):
    uri = "file:///half.py"
    client.open(uri, "x = '\ud83d'")
    assert text_at(client, uri, 0, 7) == "|'\ufffd'||"


def test_a_change_that_cannot_be_read_closes_the_file(client: RawClient):
    uri = "file:///lost.py"
    client.open(uri, "text")
    client.change(uri, {"range": {"start": 5}, "text": "x"})
    assert text_at(client, uri, 0, 4) is None
    client.open(uri, "again")
    assert text_at(client, uri, 0, 5) == "|ain||"


def test_the_covered_bracket_is_in_the_range(client: RawClient):
    uri = "file:///closes.py"
    client.open(uri, "closes('😀')")
    item = client.ask(INLINE, inline(uri, 0, 11))["result"]["items"][0]
    assert (item["insertText"], item["range"]) == ("x)", span((0, 11), (0, 12)))


def test_typing_along_asks_the_model_once(client: RawClient):
    uri = "file:///along.py"
    client.open(uri, "counts\n")
    first = text_at(client, uri, 0, 6)
    assert first
    for i, char in enumerate(first[:-1]):
        client.change(uri, {"range": span((0, 6 + i), (0, 6 + i)), "text": char})
        assert text_at(client, uri, 0, 7 + i) == first[i + 1 :]
    client.change(uri, {"range": span((0, 7), (0, 5 + len(first))), "text": ""})
    assert text_at(client, uri, 0, 7) == first[1:], "going back is free, too"
    client.change(uri, {"range": span((0, 7), (0, 7)), "text": "!"})
    assert text_at(client, uri, 0, 8) == f"|s{first[0]}!|\n|", "another key is another question"


def test_a_cancelled_request_is_answered_at_once_and_frees_the_worker(client: RawClient):
    uri = "file:///cancel.py"
    client.open(uri, "slow\nfast")
    request = client.request(INLINE, inline(uri, 0, 4))
    with pytest.raises(AssertionError):
        client.wait(lambda message: message.get("id") == request, seconds=0.1)
    client.notify("$/cancelRequest", {"id": request})
    cancelled = client.wait(lambda message: message.get("id") == request, seconds=0.25)  # the model thinks for 10 s
    assert cancelled["error"]["code"] == CANCELLED
    assert text_at(client, uri, 1, 4) == "|ast||"


@pytest.mark.parametrize("ends", ["a newer request", "a change", "a close"])
def test_a_request_whose_moment_is_over_is_answered_null(client: RawClient, ends: str):
    uri = "file:///supersede.py"
    client.open(uri, "slow\nfast")
    client.open("file:///other.py", "other")
    request = client.request(INLINE, inline(uri, 0, 4))
    if ends == "a newer request":
        assert text_at(client, uri, 1, 4) == "|ast||"
    elif ends == "a change":
        client.change(uri, {"range": span((1, 0), (1, 0)), "text": "#"})
    else:
        client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert client.reply(request)["result"] is None
    assert text_at(client, "file:///other.py", 0, 5) == "|her||", "the worker is free"


def test_files_do_not_supersede_each_other(client: RawClient):
    for name in "ab":
        client.open(f"file:///{name}.py", name)
    requests = [client.request(INLINE, inline(f"file:///{name}.py", 0, 1)) for name in "ab"]
    assert [said(client.reply(request)["result"]["items"][0]) for request in requests] == ["|a||", "|b||"]


def test_a_failing_model_is_silence(client: RawClient):
    uri = "file:///fails.py"
    client.open(uri, "fails # PASSWORD-IN-THE-FILE")
    assert text_at(client, uri, 0, 5) is None
    client.wait_logged(b"ValueError at scripted_server.py")
    assert b"PASSWORD" not in client.logged


def test_what_a_library_prints_is_no_message(client: RawClient):
    uri = "file:///prints.py"
    client.open(uri, "prints")
    assert text_at(client, uri, 0, 6) == "|nts||"
    if client.process.args == SCRIPTED:
        client.wait_logged(b"a library's greeting")


def test_nothing_is_null(client: RawClient):
    client.open("file:///nothing.py", "nothing")
    assert text_at(client, "file:///nothing.py", 0, 7) is None


def test_in_a_storm_every_request_is_answered_exactly_once(client: RawClient):
    rng = random.Random(7)
    uris = ["file:///storm/1.py", "file:///storm/2.py"]
    for uri in uris:
        client.open(uri, "slow\nfast\n")
    requests = []
    for _ in range(100):
        uri = rng.choice(uris)
        requests.append(client.request(INLINE, inline(uri, rng.choice([0, 1]), 4, kind=rng.choice([1, 2]))))
        if rng.random() < 0.5:
            client.change(uri, {"range": span((1, 0), (1, 0)), "text": ""})
        if rng.random() < 0.5:
            client.notify("$/cancelRequest", {"id": rng.choice(requests[-5:])})
    assert text_at(client, uris[0], 1, 4) == "|ast|\n|"
    assert text_at(client, uris[1], 1, 4) == "|ast|\n|"
    for request in requests:
        reply = client.reply(request)
        assert reply.get("error", {"code": CANCELLED})["code"] == CANCELLED
    answered = [message["id"] for message in client.received if "method" not in message]
    assert all(answered.count(request) == 1 for request in requests)


def test_the_last_of_many_is_answered_with_a_suggestion(client: RawClient):
    uri = "file:///last.py"
    client.open(uri, "abcdefgh")
    requests = [client.request(INLINE, inline(uri, 0, i % 8, kind=2)) for i in range(50)]
    results = [client.reply(request)["result"] for request in requests]
    assert results[:-1] == [None] * 49
    assert said(results[-1]["items"][0]) == "|a|bcd|"


def test_five_megabytes_are_mirrored(client: RawClient):
    uri, line = "file:///big.py", "x = 1  # é😀\n"
    lines = 5_000_000 // len(line)
    client.open(uri, line * lines)
    client.change(uri, {"range": span((lines // 2, 4), (lines // 2, 5)), "text": "22 "})
    assert text_at(client, uri, lines // 2, 6) == "| 22|   |"
    assert text_at(client, uri, lines, 0) == "|é😀\n||"
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
