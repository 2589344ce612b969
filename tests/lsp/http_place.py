"""A real HTTP server of ours in this process, on a port of its own, with whatever infiller a test gives it. Not a test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from incoder_lsp.http.server import listen, serving_http
from incoder_lsp.worker import Worker


@contextmanager
def http_server(load: Callable[[Any], Any], wait: bool = True) -> Iterator[str]:
    """The server's address, while it serves; `wait` for the model to be loaded."""
    listener = listen("127.0.0.1", 0)
    ready, over, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def session() -> None:
        worker = Worker(load)
        async with serving_http(worker, listener):
            loading = asyncio.create_task(worker.load(None))
            if wait:
                await loading
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(session(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()
