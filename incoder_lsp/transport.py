"""Bytes in, message bodies out: the framing of the language server protocol, over stdio or one loopback connection.

`Frames` is pure and forgives what can be forgiven (the case of header names, bare line feeds, junk between messages).
`serve_stdio` and `serve_tcp` run a whole session and return the exit code of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, BinaryIO

from incoder_lsp.logs import describe, log

if TYPE_CHECKING:
    from incoder_lsp.protocol import Protocol

LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
CHUNK = 1 << 16  # bytes read at once
MAX_HEADER = 1 << 16  # bytes
MAX_BODY = 1 << 28  # bytes; four times the largest file that any editor opens without asking
PARENT_CHECK = 1.0  # seconds

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,18})", re.IGNORECASE)


class Frames:
    """An incremental reader of `Content-Length: N`, blank line, N bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._missing: int | None = None  # bytes of the body, once its header was read

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The bodies that are complete now. None stands for a header that tells no usable length.

        The last length in a header counts: where a message is followed by junk, the next message is found again.
        """
        self._buffer += data
        while True:
            if self._missing is None:
                end = _HEADER_END.search(self._buffer)
                if end is None:
                    if len(self._buffer) > MAX_HEADER:
                        self._buffer.clear()
                        yield None
                    return
                header = bytes(self._buffer[: end.start()])
                del self._buffer[: end.end()]
                if not header.strip():
                    continue
                lengths = _LENGTH.findall(header)
                if not lengths or int(lengths[-1]) > MAX_BODY:
                    yield None
                    continue
                self._missing = int(lengths[-1])
            if len(self._buffer) < self._missing:
                return
            body = bytes(self._buffer[: self._missing])
            del self._buffer[: self._missing]
            self._missing = None
            yield body


def serve_stdio(protocol: Protocol, beside: AbstractAsyncContextManager[None] | None = None) -> int:
    """One session over this process' stdin and stdout; `beside` is entered for as long as it lasts."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not land between our messages

    async def session() -> int:
        reader = asyncio.StreamReader()
        pump = (sys.stdin.fileno(), reader, asyncio.get_running_loop())
        threading.Thread(target=_pump, args=pump, name="stdin", daemon=True).start()
        watch = asyncio.create_task(_stop_with_parent(protocol, reader))
        protocol.set_writer(_Pipe(replies))
        try:
            async with beside or contextlib.nullcontext():
                return await _session(protocol, reader)
        finally:
            watch.cancel()

    return asyncio.run(session())


def serve_tcp(protocol: Protocol, host: str, port: int, beside: AbstractAsyncContextManager[None] | None = None) -> int:
    """One session with the first client that connects; `host` must be a key of LOOPBACK. Raises OSError if it cannot listen."""

    async def session() -> int:
        client: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if client.done():
                writer.close()
            else:
                client.set_result((reader, writer))

        listener = await asyncio.start_server(connected, LOOPBACK[host], port)
        address = listener.sockets[0].getsockname()
        print(
            f"listening on {f'[{address[0]}]' if ':' in address[0] else address[0]}:{address[1]}",
            file=sys.stderr,
            flush=True,
        )
        reader, writer = await client
        listener.close()
        protocol.set_writer(writer)  # pyright: ignore[reportArgumentType] - write() answers at once, which pygls allows
        try:
            async with beside or contextlib.nullcontext():
                return await _session(protocol, reader)
        finally:
            writer.close()

    return asyncio.run(session())


def parse_address(address: str) -> tuple[str, int]:
    """`HOST:PORT` with a loopback host (`[::1]:2087` for IPv6). Raises ValueError with one sentence for the user."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or int(port) > 65535 or not host:
        raise ValueError(f"{address!r} is no address: write HOST:PORT, for example 127.0.0.1:2087")
    if host not in LOOPBACK:
        raise ValueError(f"{host} is not this machine: the server listens on {', '.join(LOOPBACK)} only")
    return host, int(port)


async def _session(protocol: Protocol, reader: asyncio.StreamReader) -> int:
    """Handle messages until the client says exit or hangs up."""
    asyncio.get_running_loop().set_exception_handler(_report)
    frames = Frames()
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            for body in frames.feed(data):
                try:
                    protocol.receive(body)
                except Exception as error:
                    log.error("a message could not be handled: %s", describe(error))
                if protocol.exit_code is not None:
                    return protocol.exit_code
                await asyncio.sleep(0)  # a request's handler takes its snapshot before the next message is looked at
    return protocol.exit_code_at_hang_up


def _report(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    error = context.get("exception")
    log.error("unexpected failure: %s", describe(error) if isinstance(error, BaseException) else context["message"])


class _Pipe:
    """pygls' idea of a writer, over a pipe."""

    def __init__(self, pipe: BinaryIO):
        self._pipe = pipe

    def write(self, data: bytes) -> None:
        try:
            self._pipe.write(data)
            self._pipe.flush()
        except BrokenPipeError:
            log.warning("the client no longer reads our replies")

    def close(self) -> None:
        self._pipe.close()


def _pump(descriptor: int, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
    """Move a blocking pipe's bytes to the event loop. `os.read` holds no lock that would keep the process from ending."""
    with contextlib.suppress(RuntimeError):  # the session is over and its loop closed
        with contextlib.suppress(OSError):  # a pipe that breaks is one that ends
            while data := os.read(descriptor, CHUNK):
                loop.call_soon_threadsafe(reader.feed_data, data)
        loop.call_soon_threadsafe(reader.feed_eof)


async def _stop_with_parent(protocol: Protocol, reader: asyncio.StreamReader) -> None:
    """End the session when the editor that started it is gone, even where something else keeps our stdin open."""
    while not (parent := protocol.parent_process):
        await asyncio.sleep(PARENT_CHECK)
    if not _is_alive(parent):
        return  # the editor lives in another process namespace (a container): its number says nothing here
    while _is_alive(parent):
        await asyncio.sleep(PARENT_CHECK)
    log.warning("the editor (process %d) is gone", parent)
    reader.feed_eof()


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        return True  # there is no harmless signal to ask with there; the end of stdin ends the session
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
