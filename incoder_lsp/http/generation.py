"""A Wish on its way through the worker: its text comes back in parts as soon as they are settled, and then as a whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from incoder_lsp.http.fields import Problem
from incoder_lsp.http.wish import Cut, Reason, Wish, cut, settled
from incoder_lsp.infiller import Infiller, Unavailable
from incoder_lsp.worker import Worker

if TYPE_CHECKING:
    from incoder_model.span import StopReason

NOT_LOADED = "The model is not loaded yet; ask again in a moment."

REASONS: dict[StopReason, Reason] = {"line": "word", "budget": "limit", "context": "limit", "done": "limit"}


@dataclass(frozen=True)
class Said:
    """The whole answer."""

    text: str
    reason: Reason
    word: str  # the stop string, where one ended it
    tokens: int
    prompt_tokens: int
    prompt_ms: float  # until the first token
    predicted_ms: float  # from then on
    truncated: bool  # the window was full


def loaded(worker: Worker) -> Infiller:
    if worker.model is None:
        raise Problem(503, NOT_LOADED)
    return worker.model


async def say(worker: Worker, wish: Wish) -> AsyncGenerator[str | Said, None]:
    """Parts of the text, then Said. To leave the iterator stops the model (use `contextlib.aclosing`). Raises Problem."""
    loop, stop = asyncio.get_running_loop(), Event()
    texts: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.create_task(
        worker.ask(
            lambda model: _generate(model, wish, stop, lambda text: loop.call_soon_threadsafe(texts.put_nowait, text))
        )
    )
    task.add_done_callback(lambda _: texts.put_nowait(None))
    shown = 0
    try:
        while (text := await texts.get()) is not None:
            if len(text) > shown:
                yield text[shown:]
                shown = len(text)
        try:
            said = await task
        except Unavailable as error:
            raise Problem(503, f"{str(error)[:1].upper()}{str(error)[1:]}") from None
        if said is None:
            raise Problem(503, NOT_LOADED)
        if len(said.text) > shown:
            yield said.text[shown:]
        yield said
    finally:
        stop.set()  # the worker frees itself at its next token
        task.cancel()


def _generate(model: Infiller, wish: Wish, stop: Event, tell: Callable[[str], object]) -> Said:
    """On the worker's thread. `tell` hears, after every token, what is settled."""
    started = time.perf_counter()
    first = 0.0  # milliseconds until the first token
    last = None  # how `done` ended it

    def elapsed() -> float:
        return (time.perf_counter() - started) * 1000

    def done(text: str) -> bool:
        nonlocal first, last
        first = first or elapsed()
        last = cut(text, wish, elapsed() - first)
        tell(settled(text, wish) if last is None else last.text)
        return last is not None

    try:
        prompt_tokens = model.prompt_tokens(wish.request)
    except ValueError as error:
        raise Problem(400, f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    filled = model.infill(wish.request, stop.is_set, done)
    reason = REASONS.get(filled.stopped, "eos")
    whole = last or cut(filled.text, wish) or Cut(filled.text, reason, "\n" if filled.stopped == "line" else "")
    total = elapsed()
    return Said(
        whole.text,
        whole.reason,
        whole.word,
        filled.tokens,
        prompt_tokens,
        first,
        total - first,
        filled.stopped == "context",
    )
