"""A language client that sends whatever it is told to, broken or not, to a server that may be anything.

A command comes in, messages go out and come back. Nothing of ours that a server might use is used here: plain JSON over
pipes. Whatever waits for a server has a time-out and knows when the server has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from incoder_lsp.conformance.outcome import Failed

Message = dict[str, Any]
PATIENCE = 20.0  # seconds until a reply counts as lost
MAX_STDERR = 1 << 22  # bytes of it that are kept
NO_METHOD = -32601


class Voice(ABC):
    """Puts messages into bytes; whoever has a way to a server says how bytes go there."""

    _last_id = 0

    @abstractmethod
    def write(self, data: bytes) -> None: ...

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


class Client(Voice):
    """One server process and everything it said. Not started by its constructor: `await Client.start(...)`."""

    def __init__(self, process: asyncio.subprocess.Process, configuration: Any = None):
        self.process = process
        self.configuration = configuration  # what workspace/configuration is answered with
        self.replies: dict[Any, list[Message]] = defaultdict(list)  # by id, in the order of their arrival
        self.heard: list[Message] = []  # the server's own requests and notifications
        self.stderr = bytearray()
        self._arrivals: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._tasks = [asyncio.create_task(read()) for read in (self._read_messages, self._read_stderr)]

    @classmethod
    async def start(
        cls, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], configuration: Any = None
    ) -> Client:
        """Raises Failed where there is no such program."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                cwd=folder,
                env=dict(environment),
                start_new_session=True,
                limit=1 << 26,
            )
        except OSError as error:
            raise Failed(f"The server does not start: {command[0]}: {os.strerror(error.errno or 0).lower()}") from None
        return cls(process, configuration)

    # --- what is sent --------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        assert self.process.stdin
        if not self.process.stdin.is_closing():
            self.process.stdin.write(data)

    def cancel(self, request: int) -> None:
        self.notify("$/cancelRequest", {"id": request})

    # --- what comes back -----------------------------------------------------------------------------------------------

    async def reply(self, request: int | str, seconds: float = PATIENCE) -> Message:
        """The first reply to a request. Raises Failed where it does not come."""
        await self.until(lambda: request in self.replies, f"request {request} is answered", seconds)
        return self.replies[request][0]

    async def ask(self, method: str, params: Any = None, seconds: float = PATIENCE) -> Message:
        request = self.request(method, params)
        await self.until(lambda: request in self.replies, f"{method} is answered", seconds)
        return self.replies[request][0]

    async def until(self, true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait until `what` is true. Raises Failed when the time is over or the server has ended before."""
        if true():
            return
        if self.ended:
            raise Failed(f"The server ended ({self.last_words()}) before {what}")
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals.append((true, arrived))
        try:
            await asyncio.wait_for(arrived, seconds)
        except asyncio.TimeoutError:
            raise Failed(f"{seconds:.3g} s were not enough until {what}") from None
        finally:
            self._arrivals = [waiting for waiting in self._arrivals if waiting[1] is not arrived]
        if not true():
            raise Failed(f"The server ended ({self.last_words()}) before {what}")

    def said(self, method: str) -> list[Any]:
        """The params of what the server sent under this name."""
        return [message.get("params") for message in self.heard if message.get("method") == method]

    @property
    def ended(self) -> bool:
        return self._tasks[0].done()

    def last_words(self) -> str:
        """How a server ended: `exit code 1, "No such file"`."""
        code = self.process.returncode
        how = "its stdout is closed" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        return f'{how}, "{lines[-1].strip()[:120]}"' if lines else how

    # --- the end -------------------------------------------------------------------------------------------------------

    async def exit_code(self, seconds: float = PATIENCE) -> int:
        """Wait for the process to end. Raises Failed where it does not."""
        try:
            return await asyncio.wait_for(self.process.wait(), seconds)
        except asyncio.TimeoutError:
            raise Failed(f"{seconds:.3g} s were not enough for the process to end") from None

    async def close(self) -> None:
        """End the process and all of its group, whatever they do; keep what was said."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self.process.kill()
            else:
                os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(Failed):
            await self.exit_code()
        await asyncio.wait(self._tasks, timeout=1)  # a grandchild may keep the pipes open
        for task in self._tasks:
            task.cancel()
        if self.process.stdin:
            self.process.stdin.close()

    # --- reading -------------------------------------------------------------------------------------------------------

    async def _read_messages(self) -> None:
        stdout = self.process.stdout
        assert stdout
        length = 0
        try:
            while line := await stdout.readline():
                name, _, value = line.partition(b":")
                if name.strip().lower() == b"content-length" and value.strip().isdigit():
                    length = int(value)
                elif not line.strip() and length:
                    body = await stdout.readexactly(length)
                    length = 0
                    self._receive(json.loads(body))
        except (asyncio.IncompleteReadError, ValueError):
            pass  # what is no message ends the conversation
        finally:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.process.wait(), 1)
            for _, arrived in self._arrivals:
                _settle(arrived)

    def _receive(self, message: Message) -> None:
        message["_at"] = time.perf_counter()
        if "method" not in message:
            self.replies[message.get("id")].append(message)
        else:
            self.heard.append(message)
            if "id" in message:
                self._answer(message)
        for true, arrived in self._arrivals:
            if true():
                _settle(arrived)

    def _answer(self, message: Message) -> None:
        """What an ordinary editor answers to a server's requests."""
        method, params = message["method"], message.get("params") or {}
        results = {
            "window/workDoneProgress/create": None,
            "window/showMessageRequest": None,
            "client/registerCapability": None,
            "client/unregisterCapability": None,
            "workspace/workspaceFolders": None,
            "workspace/applyEdit": {"applied": True},
            "workspace/configuration": [
                _section(self.configuration, item.get("section")) for item in params.get("items", [])
            ]
            if method == "workspace/configuration"
            else None,
        }
        if method in results:
            self.send(id=message["id"], result=results[method])
        else:
            self.send(id=message["id"], error={"code": NO_METHOD, "message": f"This client has no {method}."})

    async def _read_stderr(self) -> None:
        stderr = self.process.stderr
        assert stderr
        while data := await stderr.read(1 << 16):
            self.stderr += data
            del self.stderr[: max(0, len(self.stderr) - MAX_STDERR)]


def _section(configuration: Any, name: str | None) -> Any:
    """`{"a": {"b": 1}}` at "a.b" is 1; None where nothing is there."""
    for key in name.split(".") if name else []:
        configuration = configuration.get(key) if isinstance(configuration, dict) else None
    return configuration


def _settle(arrived: asyncio.Future[None]) -> None:
    if not arrived.done():
        arrived.set_result(None)
