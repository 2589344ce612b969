"""Messages that are nearly right, for minutes or for hours: `python -m incoder_lsp.conformance.fuzz --minutes N --server CMD`.

A random generator goes in, message bodies come out: a valid message with a few of its values replaced, removed or nested,
or with a few of its bytes. A server must answer each request that still is one exactly once, and live on.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import random
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from incoder_lsp.conformance.bench import Bench
from incoder_lsp.conformance.client import Client
from incoder_lsp.conformance.outcome import Failed
from incoder_lsp.conformance.session import INLINE

BATCH = 20  # messages between two questions whether the server lives
BROKEN = 0.2  # of the bodies are no JSON any more
PATIENCE = 30.0  # seconds
URIS = ("file:///fuzz/a.py", "file:///fuzz/b.py")
NOTEBOOK, CELL = "file:///fuzz/n.ipynb", "notebook-cell:/fuzz/n.ipynb#1"
AT = {"line": 0, "character": 3}
SEEDS: tuple[dict[str, Any], ...] = (
    {
        "method": INLINE,
        "id": 0,
        "params": {"textDocument": {"uri": URIS[0]}, "position": AT, "context": {"triggerKind": 1}},
    },
    {
        "method": INLINE,
        "id": 0,
        "params": {"textDocument": {"uri": URIS[1]}, "position": AT, "context": {"triggerKind": 2}},
    },
    {"method": "textDocument/completion", "id": 0, "params": {"textDocument": {"uri": URIS[0]}, "position": AT}},
    {"method": "initialize", "id": 0, "params": {"processId": None, "rootUri": None, "capabilities": {}}},
    {"method": "workspace/executeCommand", "id": 0, "params": {"command": "no.such", "arguments": [1]}},
    {"method": "$/cancelRequest", "params": {"id": 1}},
    {"method": "textDocument/didClose", "params": {"textDocument": {"uri": URIS[1]}}},
    {"method": "workspace/didChangeConfiguration", "params": {"settings": {"incoder": {"maxTokens": 8}}}},
    {"method": "incoder/whyNot", "id": 0, "params": {"textDocument": {"uri": URIS[0]}, "position": AT}},
    {"method": "incoder/statistics", "id": 0},
    {"method": "workspace/textDocumentContent", "id": 0, "params": {"uri": "incoder:/last-prompt.md"}},
    {"method": "textDocument/didFocus", "params": {"textDocument": {"uri": URIS[0]}}},
    {"method": "textDocument/didShowCompletion", "params": {"item": {"insertText": "x"}}},
    {
        "method": "textDocument/didPartiallyAcceptCompletion",
        "params": {"item": {"insertText": "x"}, "acceptedLength": 1},
    },
    {
        "method": "textDocument/codeAction",
        "id": 0,
        "params": {"textDocument": {"uri": URIS[0]}, "range": {"start": AT, "end": AT}, "context": {"diagnostics": []}},
    },
    {
        "method": "notebookDocument/didOpen",
        "params": {
            "notebookDocument": {
                "uri": NOTEBOOK,
                "notebookType": "jupyter-notebook",
                "version": 1,
                "cells": [{"kind": 2, "document": CELL}],
            },
            "cellTextDocuments": [{"uri": CELL, "languageId": "python", "version": 1, "text": "x = 1"}],
        },
    },
    {
        "method": "notebookDocument/didChange",
        "params": {
            "notebookDocument": {"uri": NOTEBOOK, "version": 2},
            "change": {
                "cells": {
                    "structure": {"array": {"start": 0, "deleteCount": 1}, "didClose": [{"uri": CELL}]},
                    "textContent": [{"document": {"uri": CELL, "version": 2}, "changes": [{"text": "y"}]}],
                }
            },
        },
    },
    {"id": "nobody asked", "result": None},
    *(
        {
            "method": "textDocument/didOpen",
            "params": {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": "x = 1\né😀\r\n"}},
        }
        for uri in URIS
    ),
    *(
        {
            "method": "textDocument/didChange",
            "params": {
                "textDocument": {"uri": uri, "version": 2},
                "contentChanges": [{"range": {"start": AT, "end": {"line": 1, "character": 1}}, "text": "y"}],
            },
        }
        for uri in URIS
    ),
)
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**64, 1e308, 0.5, "", "x", "\ud800", "\x00", "🧨" * 50, "a" * 10_000, [], {}, [[]], {"": {}},
)  # fmt: skip


@dataclass(frozen=True)
class Body:
    data: bytes
    request: int | None  # the id by which it must be answered, where it is a request still


def body(rng: random.Random, number: int) -> Body:
    """`number` is the id of the request, if it becomes one."""
    message = {"jsonrpc": "2.0", **copy.deepcopy(rng.choice(SEEDS))}
    if "id" in message and "method" in message:
        message["id"] = number
    for _ in range(rng.randrange(4)):
        _change(rng, message)
    data = json.dumps(message).encode()
    is_request = message.get("id") == number and isinstance(message.get("method"), str) and type(message["id"]) is int
    if rng.random() >= BROKEN:
        return Body(data, number if is_request and message.get("jsonrpc") == "2.0" else None)
    damaged = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(damaged) + 1)
        damaged[place : place + rng.randrange(3)] = bytes(rng.randrange(256) for _ in range(rng.randrange(3)))
    return Body(bytes(damaged), None)


async def fuzz(client: Client, rng: random.Random, first: int) -> None:
    """One batch. Raises Failed where the server ends, hangs, or does not answer a request exactly once."""
    bodies = [body(rng, first + i) for i in range(BATCH)]
    try:
        for one in bodies:
            client.write_message(one.data)
        await client.ask("conformance/ping", {}, PATIENCE)
        for request in (one.request for one in bodies if one.request is not None):
            await client.until(
                lambda request=request: request in client.replies, f"request {request} is answered", PATIENCE
            )
            if len(client.replies.pop(request)) > 1:
                raise Failed(f"Request {request} was answered more than once")
        client.replies.clear()
        client.heard.clear()
    except Failed as reason:
        sent = "\n".join(repr(one.data[:400]) for one in bodies)
        raise Failed(f"{reason}, after:\n{sent}") from None


async def run(command: Sequence[str], seconds: float, seed: int) -> int:
    """How many messages were sent. Raises Failed at the first fault."""
    rng, bench, sent = random.Random(seed), Bench(command), 0
    try:
        client = (await bench.start(processId=None)).client
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await fuzz(client, rng, 1_000_000 + sent)
            sent += BATCH
    finally:
        await bench.close()
    return sent


def main() -> int:
    parser = argparse.ArgumentParser(description="Send a language server messages that are nearly right.")
    parser.add_argument("--server", required=True, metavar="CMD", help="the command that starts it, quoted for a shell")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        sent = asyncio.run(run(shlex.split(options.server), options.minutes * 60, options.seed))
    except Failed as reason:
        print(f"seed {options.seed}: {reason}")
        return 1
    print(f"{sent} messages, each request among them answered once, and the server lives.")
    return 0


def _change(rng: random.Random, message: dict[str, Any]) -> None:
    """Replace, remove or nest one value somewhere in a message."""
    holder, key = rng.choice(_places(message) or [(message, "method")])
    kind = rng.randrange(4)
    if kind == 0 and isinstance(holder, dict):
        holder.pop(key, None)
    elif kind == 1:
        holder[key] = [holder.get(key)] if isinstance(holder, dict) else {"value": holder[key]}
    else:
        holder[key] = copy.deepcopy(rng.choice(JUNK))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each value inside of `value`, as what holds it and its key there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


if __name__ == "__main__":
    sys.exit(main())
