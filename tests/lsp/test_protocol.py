"""Whatever JSON a client sends, in whatever order: each request gets exactly one reply, and a reply is valid JSON-RPC."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from raw_client import INLINE, inline, span

from incoder_lsp.filters import Suggestion
from incoder_lsp.logs import LogLevel, configure
from incoder_lsp.question import Answer
from incoder_lsp.server import Server
from incoder_lsp.worker import Worker

URI = "file:///a.py"
POSITION = {key: inline(URI, 0, 0)[key] for key in ("textDocument", "position")}
VALID: list[tuple[str, Any]] = [
    ("initialize", {"processId": None, "capabilities": {"textDocument": {"completion": {}}}, "rootUri": None}),
    ("initialized", {}),
    ("textDocument/didOpen", {"textDocument": {"uri": URI, "languageId": "python", "version": 1, "text": "é\r\nb"}}),
    ("textDocument/didChange", {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [{"text": "a"}]}),
    (
        "textDocument/didChange",
        {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [{"range": span((0, 0), (1, 1)), "text": ""}]},
    ),
    ("textDocument/didClose", {"textDocument": {"uri": URI}}),
    ("workspace/didChangeConfiguration", {"settings": {"maxTokens": 5}}),
    (INLINE, inline(URI, 0, 1)),
    (INLINE, inline(URI, 9, 9, 2)),
    ("textDocument/completion", POSITION),
    ("textDocument/hover", POSITION),
    ("workspace/executeCommand", {"command": "x"}),
    ("$/cancelRequest", {"id": 1}),
    ("$/setTrace", {"value": "off"}),
    ("window/workDoneProgress/cancel", {"token": "x"}),
    ("shutdown", None),
]
scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text("a/$", max_size=3)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner)
)


def bent(value: Any) -> st.SearchStrategy[Any]:
    """`value` with parts of it replaced or left out."""
    if not isinstance(value, dict):
        return st.just(value) | json_values
    whole = st.fixed_dictionaries({}, optional={key: bent(inner) for key, inner in value.items()})
    return st.just(value) | whole | json_values


ids = st.integers(1, 4) | st.sampled_from(["1", "a", ""]) | json_values
messages = st.one_of(
    *(
        st.fixed_dictionaries(
            {"jsonrpc": st.just("2.0"), "method": st.just(method)}, optional={"id": ids, "params": bent(params)}
        )
        for method, params in VALID
    ),
    st.fixed_dictionaries({"jsonrpc": st.just("2.0"), "id": ids, "result": json_values}),
    st.fixed_dictionaries({"jsonrpc": st.just("2.0"), "id": ids, "error": json_values}),
    json_values,
)


configure(LogLevel.error)  # pygls' logger is slow when it is not silent


class Replies:
    """A writer that keeps what is written."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def write(self, data: bytes) -> None:
        header, _, body = data.partition(b"\r\n\r\n")
        assert int(header.split()[1]) == len(body)
        self.messages.append(json.loads(body))

    def close(self) -> None: ...


async def replies_to(sent: list[Any]) -> list[Any]:
    server = Server(worker=Worker(lambda _: object()), fill=lambda *_: Answer((Suggestion("x"),)))  # type: ignore[arg-type, return-value]
    writer = Replies()
    server.protocol.set_writer(writer)
    for message in sent:
        server.protocol.receive(json.dumps(message).encode())
        await asyncio.sleep(0)
    for _ in range(200):
        await asyncio.sleep(0.0005)
        if not server.completer._in_the_air:
            break
    return [message for message in writer.messages if "method" not in message]


def is_id(value: Any) -> bool:
    return isinstance(value, str) or type(value) is int


@settings(max_examples=60)
@given(st.booleans(), st.lists(messages, max_size=8))
def test_every_request_is_answered_exactly_once(initialized: bool, sent: list[Any]):
    if initialized:
        first = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": VALID[0][1]}
        sent = [first, {"jsonrpc": "2.0", "method": "initialized", "params": {}}, *sent]
    replies = asyncio.run(replies_to(sent))
    requests = [m["id"] for m in sent if isinstance(m, dict) and "method" in m and is_id(m.get("id"))]
    answered = [reply["id"] for reply in replies if reply["id"] is not None]
    assert sorted(answered, key=repr) == sorted(requests, key=repr)
    for reply in replies:
        assert reply["jsonrpc"] == "2.0"
        assert ("error" in reply) != ("result" in reply)
        assert "error" not in reply or isinstance(reply["error"]["message"], str)
