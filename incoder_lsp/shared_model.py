"""A loaded model that several sessions use: who may ask it next, and when it is dropped.

A source comes in, a SharedModel goes out; two sessions that ask for the same source get the same one. A model is
not thread safe and its work is long, so it is loaded, asked and dropped on a thread of its own and nowhere else. All
else here belongs to the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any, TypeVar

from incoder_lsp.backend.address import Address
from incoder_lsp.infiller import Infiller, Source, open_source

Answer = TypeVar("Answer")
Load = Callable[[Source], Infiller]
Job = tuple[Callable[[Infiller], Any], "asyncio.Future[Any]", "Event | None"]

WEIGHTS = "model.safetensors"  # a model that is trained anew under the same name is another model


class SharedModel:
    """One model and its thread. Its guests take turns; of one guest's jobs the newest comes first.

    One job runs at a time. A job whose asker went away is never begun; one that runs ends by its own stop flag, and one that
    can wait is stopped as soon as anybody asks for another.
    """

    def __init__(self, load: Callable[[], Infiller]):
        self.guests: set[Hashable] = set()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._waiting: dict[Hashable, list[Job]] = {}  # the guest who is next comes first
        self._busy = False
        self._stop: Event | None = None  # of the job that runs, where it can wait
        self.loaded: asyncio.Future[Infiller] = asyncio.get_running_loop().run_in_executor(self._thread, load)

    @property
    def ready(self) -> bool:
        return self.loaded.done() and not self.loaded.cancelled() and self.loaded.exception() is None

    async def ask(self, guest: Hashable, job: Callable[[Infiller], Answer], can_wait: Event | None = None) -> Answer:
        """What `job` makes of the model, which must be ready. can_wait: its stop flag, if it is no hurry."""
        waiting: Job = (job, asyncio.get_running_loop().create_future(), can_wait)
        if self._stop:
            self._stop.set()
        self._waiting.setdefault(guest, []).append(waiting)
        self._begin_next()
        try:
            return await waiting[1]
        finally:
            if waiting in self._waiting.get(guest, []):  # a job holds a whole file; it must not wait for its turn to go
                self._waiting[guest].remove(waiting)

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    def _begin_next(self) -> None:
        while self._waiting and not self._busy:
            guest = next(iter(self._waiting))
            jobs = self._waiting.pop(guest)
            if not jobs:
                continue
            job, answer, can_wait = jobs.pop()
            self._waiting[guest] = jobs  # at the end of the row
            if answer.done():
                continue
            self._busy, self._stop = True, can_wait
            running = asyncio.get_running_loop().run_in_executor(self._thread, job, self.loaded.result())
            running.add_done_callback(partial(self._finish, answer))

    def _finish(self, answer: asyncio.Future[Any], job: asyncio.Future[Any]) -> None:
        self._busy, self._stop = False, None
        error = job.exception()
        if not answer.done():
            if error is None:
                answer.set_result(job.result())
            else:
                answer.set_exception(error)
        self._begin_next()


class Models:
    """All models in use, by source. One that nobody uses is dropped after `keep` seconds; at once if that is 0."""

    def __init__(self, load: Load = open_source, keep: float = 0.0):
        self._load = load
        self._keep = keep
        self._shared: dict[tuple[Any, ...], SharedModel] = {}

    @property
    def names(self) -> list[str]:
        """Where each model came from, for people to read."""
        return [str(key[0] or "the bundled model") for key in self._shared]

    def enter(self, source: Source, guest: Hashable) -> SharedModel:
        """The model of a source, loading or loaded. `leave` must follow."""
        key = _key(source)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = SharedModel(partial(self._load, source))
            shared.loaded.add_done_callback(partial(self._forget_failed, key, shared))
        shared.guests.add(guest)
        return shared

    def leave(self, shared: SharedModel, guest: Hashable) -> None:
        shared.guests.discard(guest)
        if shared.guests:
            return
        if self._keep:
            asyncio.get_running_loop().call_later(self._keep, self._drop_unused, shared)
        else:
            self._drop_unused(shared)

    def _drop_unused(self, shared: SharedModel) -> None:
        if not shared.guests:
            self._drop(shared)

    def _forget_failed(self, key: tuple[Any, ...], shared: SharedModel, loaded: asyncio.Future[Infiller]) -> None:
        """Who asks for it again may have mended it."""
        if (loaded.cancelled() or loaded.exception()) and self._shared.get(key) is shared:
            self._drop(shared)

    def _drop(self, shared: SharedModel) -> None:
        self._shared = {key: other for key, other in self._shared.items() if other is not shared}
        shared.close()


def _key(source: Source) -> tuple[Any, ...]:
    """Two sources with one key are the same model."""
    if source is None or isinstance(source, Address):
        return (source.url, source.key) if source else (None,)
    place = source.resolve()
    try:
        weights = (place / WEIGHTS).stat()
    except OSError:
        return (place,)
    return (place, weights.st_ino, weights.st_mtime_ns, weights.st_size)
