"""One session's way to what completes for it: a source is opened, jobs are asked.

The model runs on a thread of its own (see `shared_model`): neither on the event loop, which must answer a cancel within
milliseconds, nor in pygls' pool. In a process of its own a session has its model for itself; in the daemon it shares it.
A server that completes in the model's place is asked from such a thread, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from incoder_lsp.infiller import Infiller, Source, open_source
from incoder_lsp.shared_model import Load, Models, SharedModel

Answer = TypeVar("Answer")


class Worker:
    """Runs one job at a time. Awaiting a job can be cancelled; a job that runs ends by its stop flag."""

    def __init__(self, load: Load = open_source, models: Models | None = None):
        self._models = models or Models(load)
        self._shared: SharedModel | None = None

    @property
    def ready(self) -> bool:
        return self._shared is not None and self._shared.ready

    @property
    def model(self) -> Infiller | None:
        """What completes; None while there is nothing."""
        return self._shared.loaded.result() if self._shared is not None and self._shared.ready else None

    async def load(self, source: Source) -> None:
        """Replace the model; until it is there, none is. Raises what `open_source` raises."""
        self.leave()
        self._shared = shared = self._models.enter(source, self)
        await asyncio.wait({shared.loaded})
        shared.loaded.result()

    async def ask(self, job: Callable[[Infiller], Answer], can_wait: Event | None = None) -> Answer | None:
        """What `job` makes of the model; None while there is no model. can_wait: its stop flag, if it is no hurry."""
        return await self._shared.ask(self, job, can_wait) if self._shared is not None and self._shared.ready else None

    def leave(self) -> None:
        """The model is no longer needed here."""
        if self._shared is not None:
            self._models.leave(self._shared, self)
            self._shared = None
