"""One editor's session in this process: bytes come from stdio or from one loopback connection, messages go to the protocol.

`serve_stdio` and `serve_tcp` run a whole session and return the exit code of the process. `session` is what they share
with the daemon, which runs one for each of its connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, BinaryIO

from incoder_lsp.frames import Frames
from incoder_lsp.logs import describe, log
from incoder_lsp.parent import PARENT_CHECK, is_alive

if TYPE_CHECKING:
    from incoder_lsp.protocol import Protocol

LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
CHUNK = 1 << 16  # bytes read at once


def serve_stdio(protocol: Protocol, beside: AbstractAsyncContextManager[None] | None = None) -> int:
    """One session over this process' stdin and stdout; `beside` is entered for as long as it lasts."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not land between our messages

    async def run() -> int:
        reader = asyncio.StreamReader()
        pump = (sys.stdin.fileno(), reader, asyncio.get_running_loop())
        threading.Thread(target=_pump, args=pump, name="stdin", daemon=True).start()
        watch = asyncio.create_task(_stop_with_parent(protocol, reader))
        protocol.set_writer(_Pipe(replies))
        try:
            async with beside or contextlib.nullcontext():
                return await session(protocol, reader)
        finally:
            watch.cancel()

    return asyncio.run(run())


def serve_tcp(protocol: Protocol, host: str, port: int, beside: AbstractAsyncContextManager[None] | None = None) -> int:
    """One session with the first client that connects; `host` must be a key of LOOPBACK. Raises OSError if it cannot listen."""

    async def run() -> int:
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
                return await session(protocol, reader)
        finally:
            writer.close()

    return asyncio.run(run())


def parse_address(address: str) -> tuple[str, int]:
    """`HOST:PORT` with a loopback host (`[::1]:2087` for IPv6). Raises ValueError with one sentence for the user."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or int(port) > 65535 or not host:
        raise ValueError(f"{address!r} is no address: write HOST:PORT, for example 127.0.0.1:2087")
    if host not in LOOPBACK:
        raise ValueError(f"{host} is not this machine: the server listens on {', '.join(LOOPBACK)} only")
    return host, int(port)


async def session(
    protocol: Protocol, reader: asyncio.StreamReader, written: Callable[[], Awaitable[None]] | None = None
) -> int:
    """Handle messages until the client says exit or hangs up; returns the exit code.

    `written` is awaited after each message: who does not read our replies is not read, either, and nothing piles up.
    """
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
                if written is not None:
                    await written()
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
    if not is_alive(parent):
        return  # the editor lives in another process namespace (a container): its number says nothing here
    while is_alive(parent):
        await asyncio.sleep(PARENT_CHECK)
    log.warning("the editor (process %d) is gone", parent)
    reader.feed_eof()
