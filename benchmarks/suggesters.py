"""What a person's keys are sent to: the interface that each contender of `keystrokes` has, and ours, a language server."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from machine import Marked
from typist import Key

URI = "file:///benchmark/"


@dataclass(frozen=True)
class Prompt:
    """What a peer is asked at a key."""

    tokens: list[int]  # our prompt, what is typed in it
    left: str
    typed: str
    right: str
    most: int  # tokens of the answer


class Suggester(Protocol):
    """It is told of a key when it is pressed and asked for a suggestion; the question is taken back when the next key comes."""

    marked: Marked  # the processes behind it

    async def start(self) -> None:
        """Until it can be asked."""
        ...

    def open(self, name: str, text: str) -> None:
        """A file whose keys come next."""
        ...

    def press(self, key: Key) -> None: ...
    async def ask(self, key: Key, prompt: Prompt | None) -> str | None:
        """The suggestion. Cancelled when it comes too late."""
        ...

    async def evaluated(self) -> dict[str, float]:
        """What is known of the work so far."""
        ...

    async def close(self) -> None: ...


class LanguageServer:
    """`command` speaks the language server protocol over its stdin and stdout."""

    def __init__(self, command: Sequence[str], settings: dict[str, Any], environment: dict[str, str] | None = None):
        self._command, self._settings = command, settings
        self.marked = Marked(environment)
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._ready = asyncio.Event()
        self._version = 0

    async def start(self) -> None:
        await self.initialize()
        await self.ready()

    async def initialize(self) -> None:
        """Until the reply is there; the model may not be."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **self.marked.environment},
        )
        self._reading = asyncio.create_task(self._read())
        capabilities = {"window": {"workDoneProgress": True}, "textDocument": {"inlineCompletion": {}}}
        params = {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities}
        await self.request("initialize", {**params, "initializationOptions": self._settings})
        self.notify("initialized", {})

    async def ready(self) -> None:
        """Until it says that its model is loaded, or that it cannot be."""
        await self._ready.wait()

    def open(self, name: str, text: str) -> None:
        self._uri = URI + name
        document = {"uri": self._uri, "languageId": "python", "version": 0, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def press(self, key: Key) -> None:
        self._version += 1
        where = {"start": _position(key.before, key.start), "end": _position(key.before, key.end)}
        document = {"uri": self._uri, "version": self._version}
        changes = [{"range": where, "text": key.text}]
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    async def ask(self, key: Key, prompt: Prompt | None) -> str | None:
        return await self.suggestion(_position(key.after, key.cursor), invoked=False)

    async def suggestion(self, position: dict[str, int], invoked: bool) -> str | None:
        params = {"textDocument": {"uri": self._uri}, "position": position}
        context = {"triggerKind": 1 if invoked else 2}
        reply = await self.request("textDocument/inlineCompletion", {**params, "context": context})
        items = reply["items"] if isinstance(reply, dict) else reply or []
        return items[0]["insertText"] if items else None

    async def evaluated(self) -> dict[str, float]:
        return await self.request("incoder/statistics", None)

    async def request(self, method: str, params: Any) -> Any:
        number = next(self._ids)
        self._replies[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": params})
        try:
            return await self._replies[number]
        except asyncio.CancelledError:
            self.notify("$/cancelRequest", {"id": number})
            raise
        finally:
            del self._replies[number]

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    async def close(self) -> None:
        """As an editor does; a daemon lives on."""
        await self.request("shutdown", None)
        self.notify("exit", None)
        await self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _read(self) -> None:
        assert self._process.stdout
        length = 0
        while line := await self._process.stdout.readline():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif not line.strip():
                self._take(json.loads(await self._process.stdout.readexactly(length)))
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(RuntimeError("the server has ended"))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") == "window/workDoneProgress/create":
            self._send({"id": message["id"], "result": None})
        elif message.get("method") == "$/progress" and message["params"]["value"]["kind"] == "end":
            self._ready.set()
        elif "method" not in message and (reply := self._replies.get(message.get("id", 0))) and not reply.done():
            if "error" in message:
                reply.set_exception(RuntimeError(message["error"]["message"]))
            else:
                reply.set_result(message["result"])


def _position(text: str, offset: int) -> dict[str, int]:
    start = text.rfind("\n", 0, offset) + 1
    return {"line": text.count("\n", 0, start), "character": offset - start}
