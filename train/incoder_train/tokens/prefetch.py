"""Batches made ahead of time, by a thread beside the training step: samples go in, batches come out in their order.

What the thread does not change is which batches come: they are those that `samples.batch` gives, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from queue import Empty, Queue
from threading import Event, Thread

from incoder_train.tokens.batches import Batch, Samples


class Prefetch(Iterator[Batch]):
    """The batches of device `rank` of `world` that follow `samples_seen` samples, without end; at most `depth` wait.

        with Prefetch(samples, samples_seen) as batches:
            for batch in batches: ...

    An error in the thread is raised by the `next` that would have returned the batch, and by every one after that.
    """

    def __init__(self, samples: Samples, samples_seen: int, rank: int = 0, world: int = 1, *, depth: int = 4):
        self.waited = 0.0  # seconds that `next` had to wait, all together
        self._samples, self._next, self._share = samples, samples_seen, (rank, world)
        self._ready: Queue[Batch | BaseException] = Queue(depth)
        self._stop = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, name="prefetch", daemon=True)
        self._thread.start()

    def __next__(self) -> Batch:
        if self._error is not None:
            raise self._error
        if self._stop.is_set():
            raise StopIteration
        started = time.perf_counter()
        item = self._ready.get()
        self.waited += time.perf_counter() - started
        if isinstance(item, BaseException):
            self._error = item
            raise item
        return item

    def close(self) -> None:
        """The thread has ended when this returns."""
        self._stop.set()
        try:
            while True:  # makes room for the one batch that the thread may still put
                self._ready.get_nowait()
        except Empty:
            self._thread.join()

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                self._ready.put(self._samples.batch(self._next, *self._share))
                self._next += self._samples.batch_size
        except BaseException as error:
            self._ready.put(error)
