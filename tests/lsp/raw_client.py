"""A language client that sends whatever it is told to, broken or not, and keeps everything that comes back."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

INLINE = "textDocument/inlineCompletion"
PATIENCE = 60.0  # seconds until a reply counts as lost, on a loaded machine


class RawClient:
    def __init__(self, command: list[str], **environment: str):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **environment}
        )
        self.received: list[dict[str, Any]] = []
        self.stderr = b""
        self._logs = Path(environment.get("XDG_RUNTIME_DIR", "/nowhere"), "incoder-lsp")
        self._arrived = threading.Condition()
        self._last_id = 0
        self._readers = [
            threading.Thread(target=read, daemon=True) for read in (self._read_messages, self._read_stderr)
        ]
        for reader in self._readers:
            reader.start()

    def write(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def write_message(self, body: bytes) -> None:
        self.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def send(self, **message: Any) -> None:
        self.write_message(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def notify(self, method: str, params: Any) -> None:
        self.send(method=method, params=params)

    def request(self, method: str, params: Any = None) -> int:
        """Send a request and return its id."""
        self._last_id += 1
        self.send(id=self._last_id, method=method, params=params)
        return self._last_id

    def ask(self, method: str, params: Any = None) -> dict[str, Any]:
        return self.reply(self.request(method, params))

    def reply(self, request: int | str | None) -> dict[str, Any]:
        return self.wait(lambda message: "method" not in message and message.get("id", 0) == request)

    def wait(self, wanted: Any, seconds: float = PATIENCE) -> dict[str, Any]:
        """The first message, of those that came or will come, for which `wanted` is true."""
        deadline, seen = time.monotonic() + seconds, 0
        with self._arrived:
            while True:
                for message in self.received[seen:]:
                    if wanted(message):
                        return message
                seen = len(self.received)
                assert self._arrived.wait(deadline - time.monotonic()), f"no such message in {self.received[-5:]}"

    def start(self, **params: Any) -> dict[str, Any]:
        """Initialize; returns the result."""
        params = {"processId": None, "rootUri": None, "capabilities": {}, **params}
        result = self.ask("initialize", params)["result"]
        self.notify("initialized", {})
        return result

    def start_and_load(self, **params: Any) -> None:
        """Initialize and wait until the model is there."""
        self.start(capabilities={**params.pop("capabilities", {}), "window": {"workDoneProgress": True}}, **params)
        create = self.wait(lambda message: message.get("method") == "window/workDoneProgress/create")
        create["done"] = True
        self.send(id=create["id"], result=None)
        ended = lambda message: message.get("method") == "$/progress" and message["params"]["value"]["kind"] == "end"  # noqa: E731
        self.wait(ended, 6 * PATIENCE)

    def open(self, uri: str, text: str) -> None:
        document = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, *changes: dict[str, Any]) -> None:
        document = {"uri": uri, "version": 2}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": list(changes)})

    @property
    def logged(self) -> bytes:
        """What the server wrote to stderr, and the daemon to its log."""
        return self.stderr + b"".join(log.read_bytes() for log in self._logs.glob("*.log"))

    def wait_logged(self, wanted: bytes) -> None:
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.logged:
            assert time.monotonic() < deadline, f"{wanted!r} is not in {self.logged!r}"
            time.sleep(0.005)

    def end(self) -> int:
        """Shut down, exit and return the exit code."""
        self.ask("shutdown")
        self.notify("exit", None)
        return self.exit_code()

    def exit_code(self) -> int:
        """Wait for the process' own end, and for the last byte it wrote."""
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def _read_messages(self) -> None:
        assert self.process.stdout
        length = 0
        while line := self.process.stdout.readline():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif not line.strip():
                message = json.loads(self.process.stdout.read(length))
                with self._arrived:
                    self.received.append(message)
                    self._arrived.notify_all()

    def _read_stderr(self) -> None:
        assert self.process.stderr
        while data := self.process.stderr.read1():  # pyright: ignore
            self.stderr += data


def inline(uri: str, line: int, character: int, kind: int = 1) -> dict[str, Any]:
    """The params of an inline completion request; kind 1 is Invoked, 2 Automatic."""
    position = {"line": line, "character": character}
    return {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": kind}}


def said(item: dict[str, Any]) -> str:
    """What a suggestion that covers nothing right of the cursor says there: without the word before it, with which it begins."""
    start, end = (item["range"][name]["character"] for name in ("start", "end"))
    return item["insertText"][end - start :]


def span(start: tuple[int, int], end: tuple[int, int]) -> dict[str, Any]:
    return {name: {"line": line, "character": c} for name, (line, c) in (("start", start), ("end", end))}
