"""The daemon: one process that serves all editors of a user, and loads each model once.

Connections come in at a Post; each is a session of its own (a `Server`) behind one line of greeting. The daemon ends when
nobody was connected for a while, and before that drops models that nobody uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from incoder_lsp import transport, version
from incoder_lsp.daemon.process import Post
from incoder_lsp.filling import Fill, fill
from incoder_lsp.infiller import open_source
from incoder_lsp.learning import Learning
from incoder_lsp.logs import LogLevel, configure, describe, log
from incoder_lsp.server import Server
from incoder_lsp.shared_model import Load, Models
from incoder_lsp.worker import Worker

IDLE = 600.0  # seconds
IDLE_VARIABLE = "INCODER_DAEMON_IDLE"
GREETING = 10.0  # seconds that a client has to say what it wants


def serve(post: Post, load: Load = open_source, fill: Fill = fill) -> None:
    """Serve until nobody was connected for a while, or a client said stop."""
    configure(LogLevel.warning, post.log)
    idle = float(os.environ.get(IDLE_VARIABLE) or IDLE)
    asyncio.run(Daemon(Models(load, keep=idle), fill).run(post, idle))


class Daemon:
    def __init__(self, models: Models, fill: Fill = fill):
        self._models = models
        self._fill = fill
        self._levels: dict[Server, LogLevel] = {}  # of each session
        self._connections = 0
        self._last_seen = time.monotonic()  # when there was a connection
        self._stop = asyncio.Event()

    async def run(self, post: Post, idle: float) -> None:
        listener = await asyncio.start_unix_server(self._connected, sock=post.listener)
        log.info("the daemon listens")
        look = min(1.0, idle / 4)
        while not self._stop.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), look)
            if not post.held:
                post.leave()
            alone = 0.0 if self._connections else time.monotonic() - self._last_seen
            if alone > idle or (alone and not post.held):
                break
        listener.close()
        log.info("the daemon ends")

    @property
    def status(self) -> dict[str, Any]:
        return {
            "version": version(),
            "pid": os.getpid(),
            "sessions": len(self._levels),
            "models": self._models.names,
        }

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            greeting = json.loads(await asyncio.wait_for(reader.readline(), GREETING))
            want = greeting["want"]
            writer.write(json.dumps(self.status).encode() + b"\n")
            await writer.drain()
            if want == "session":
                await self._session(greeting, reader, writer)
            elif want == "stop":
                self._stop.set()
        except (ConnectionError, ValueError, KeyError, TypeError, asyncio.TimeoutError) as error:
            log.debug("a client was not understood: %s", describe(error))
        except Exception as error:
            log.error("a session ended: %s", describe(error))
        finally:
            self._connections -= 1
            self._last_seen = time.monotonic()
            writer.close()

    async def _session(
        self, options: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One editor, until it leaves. Options: model, folder, user_file and data (absolute paths), log_level, backend_key."""
        model, folder, user_file, data = (
            Path(path) if (path := options.get(name)) else None for name in ("model", "folder", "user_file", "data")
        )
        worker = Worker(models=self._models)
        key = options.get("backend_key", "")  # the daemon's own is that of the editor which has started it
        server = Server(model, worker, self._fill, folder or Path("/"), user_file, Learning(data), backend_key=key)
        self._levels[server] = LogLevel(options.get("log_level", LogLevel.warning))
        self._set_level()
        server.protocol.set_writer(writer)  # pyright: ignore[reportArgumentType] - write() answers at once, which pygls allows
        try:
            await transport.session(server.protocol, reader, writer.drain)
        finally:
            server.leave()
            del self._levels[server]
            self._set_level()

    def _set_level(self) -> None:
        """One log for all, as detailed as the most curious session asked for; source text (trace) is for one process alone."""
        order = list(LogLevel)
        level = max(self._levels.values(), key=order.index, default=LogLevel.warning)
        configure(LogLevel.debug if level is LogLevel.trace else level)
