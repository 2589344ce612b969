"""The one thread that owns the model.

A model is not thread safe and its work is long, so it is loaded, asked and dropped here and nowhere else: neither on the
event loop, which must answer a cancel within milliseconds, nor in pygls' pool, which also reads stdin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from incoder_model.infill import Model

Answer = TypeVar("Answer")


def load_model(directory: Path | None) -> Model:
    """Imported here and not above: it imports torch, which takes seconds."""
    from incoder_model import checkpoint

    return checkpoint.load_model(directory)


class Worker:
    """Runs one job at a time, in the order of asking. Awaiting a job can be cancelled; a job that runs ends by its stop flag."""

    def __init__(self, load: Callable[[Path | None], Model] = load_model):
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._load = load
        self._model: Model | None = None

    @property
    def ready(self) -> bool:
        return self._model is not None

    async def load(self, directory: Path | None) -> None:
        """Replace the model; until it is there, none is. Raises what `checkpoint.load_model` raises."""
        self._model = None
        self._model = await self._run(lambda: self._load(directory))

    async def ask(self, job: Callable[[Model], Answer]) -> Answer | None:
        """What `job` makes of the model; None while there is no model."""
        model = self._model
        return await self._run(lambda: job(model)) if model is not None else None

    async def _run(self, job: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)
