"""The one thread that owns the model.

A model is not thread safe and its work is long, so it is loaded, asked and dropped here and nowhere else: neither on the
event loop, which must answer a cancel within milliseconds, nor in pygls' pool, which also reads stdin. A server that
completes in the model's place is asked from here, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from incoder_lsp.infiller import Infiller, Source, open_source

Answer = TypeVar("Answer")


class Worker:
    """Runs one job at a time, in the order of asking. Awaiting a job can be cancelled; a job that runs ends by its stop flag."""

    def __init__(self, load: Callable[[Source], Infiller] = open_source):
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._load = load
        self.model: Infiller | None = None

    @property
    def ready(self) -> bool:
        return self.model is not None

    async def load(self, source: Source) -> None:
        """Replace the model; until it is there, none is. Raises what `checkpoint.load_model` raises."""
        self.model = None
        self.model = await self._run(lambda: self._load(source))

    async def ask(self, job: Callable[[Infiller], Answer]) -> Answer | None:
        """What `job` makes of the model; None while there is no model."""
        model = self.model
        return await self._run(lambda: job(model)) if model is not None else None

    async def _run(self, job: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)
