"""One session's way to a model: a directory is loaded, jobs are asked.

The model runs on a thread of its own (see `shared_model`): neither on the event loop, which must answer a cancel within
milliseconds, nor in pygls' pool. In a process of its own a session has its model for itself; in the daemon it shares it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from incoder_lsp.shared_model import Load, Models, SharedModel, load_model

if TYPE_CHECKING:
    from incoder_model.infill import Model

Answer = TypeVar("Answer")


class Worker:
    """Runs one job at a time. Awaiting a job can be cancelled; a job that runs ends by its stop flag."""

    def __init__(self, load: Load = load_model, models: Models | None = None):
        self._models = models or Models(load)
        self._shared: SharedModel | None = None

    @property
    def ready(self) -> bool:
        return self._shared is not None and self._shared.ready

    async def load(self, directory: Path | None) -> None:
        """Replace the model; until it is there, none is. Raises what `checkpoint.load_model` raises."""
        self.leave()
        self._shared = shared = self._models.enter(directory, self)
        await asyncio.wait({shared.loaded})
        shared.loaded.result()

    async def ask(self, job: Callable[[Model], Answer]) -> Answer | None:
        """What `job` makes of the model; None while there is no model."""
        return await self._shared.ask(self, job) if self._shared is not None and self._shared.ready else None

    def leave(self) -> None:
        """The model is no longer needed here."""
        if self._shared is not None:
            self._models.leave(self._shared, self)
            self._shared = None
