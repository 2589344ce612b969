"""When to ask the model, and whose answer still counts.

A Question (one frozen view of a document and its cursor) comes in, a Suggestion or None goes out. A document has at most
one question in the air: a newer one, an edit or a close ends the older, which is then answered None. The client's own
cancel arrives here as the cancellation of `ask`. What was suggested is remembered, so that typing along is free.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING

from incoder_lsp.logs import describe, log
from incoder_lsp.settings import Settings
from incoder_lsp.worker import Worker

if TYPE_CHECKING:
    from incoder_lsp.filters import Suggestion
    from incoder_model.infill import Model

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Question:
    """What to complete: the whole `text` with the cursor at `offset` (code points)."""

    uri: str
    path: str
    text: str
    offset: int
    eol: str  # the file's line end, which the suggestion will have
    invoked: bool  # the user asked; otherwise the editor did, because of a key
    settings: Settings


@dataclass(frozen=True)
class _Known:
    """A question and its answer, which holds for as long as only the beginning of the answer is typed."""

    question: Question
    suggestion: Suggestion | None

    def holds_for(self, later: Question) -> bool:
        earlier, typed = self.question, self._typed(later)
        if later.offset < earlier.offset or later.invoked > earlier.invoked:
            return False
        if typed and not (self.suggestion and typed != self.suggestion.text and self.suggestion.text.startswith(typed)):
            return False
        return later.text == earlier.text[: earlier.offset] + typed + earlier.text[earlier.offset :]

    def rest(self, later: Question) -> Suggestion | None:
        return self.suggestion and replace(self.suggestion, text=self.suggestion.text[len(self._typed(later)) :])

    def _typed(self, later: Question) -> str:
        return later.text[self.question.offset : later.offset]


Fill = Callable[["Model", Question, Callable[[], bool]], "Suggestion | None"]


def fill(model: Model, question: Question, stop: Callable[[], bool]) -> Suggestion | None:
    """One pass through the house; runs on the worker. The imports are here because the model's side imports torch."""
    from incoder_lsp.context import situation_at
    from incoder_lsp.filters import Drop, filter_suggestion
    from incoder_model.infill import infill

    situation = situation_at(
        question.text, question.offset, question.path, invoked=question.invoked, settings=question.settings
    )
    if situation is None:
        return None
    suggestion = filter_suggestion(infill(model, situation.request, stop), situation)
    if isinstance(suggestion, Drop):
        log.debug("no suggestion: %s", suggestion.reason)
        return None
    return replace(suggestion, text=_LINE_END.sub(question.eol, suggestion.text))


class Completer:
    def __init__(self, worker: Worker, fill: Fill = fill):
        self._worker = worker
        self._fill = fill
        self._in_the_air: dict[str, asyncio.Task[Suggestion | None]] = {}  # by uri
        self._known: dict[str, _Known] = {}  # by uri, the last answer only
        self.from_cache = 0  # questions so far that the last answer held for

    async def ask(self, question: Question) -> Suggestion | None:
        """The suggestion, or None: nothing to suggest, no model yet, superseded, or a failure (which is logged)."""
        self.drop(question.uri)
        if not (question.settings.enabled and self._worker.ready):
            return None
        known = self._known.get(question.uri)
        if known and known.holds_for(question):
            self.from_cache += 1
            return known.rest(question)
        task = asyncio.create_task(self._think(question))
        self._in_the_air[question.uri] = task
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()  # where the client cancelled us; a task that is done does not mind
            current = self._in_the_air.get(question.uri) is task
            if current:
                del self._in_the_air[question.uri]
        if not current:
            return None
        if error := task.exception():
            log.error("no suggestion because of %s", describe(error))
            return None
        self._known[question.uri] = _Known(question, task.result())
        return task.result()

    def drop(self, uri: str) -> None:
        """The question in the air no longer fits the document."""
        if task := self._in_the_air.pop(uri, None):
            task.cancel()

    def forget(self, uri: str | None = None) -> None:
        """What was known of one document, or of all, no longer holds."""
        for known in list(self._known) if uri is None else [uri]:
            self._known.pop(known, None)
        for asked in list(self._in_the_air) if uri is None else [uri]:
            self.drop(asked)

    async def _think(self, question: Question) -> Suggestion | None:
        stop = Event()
        try:
            if not question.invoked:
                await asyncio.sleep(question.settings.debounce_ms / 1000)
            return await self._worker.ask(lambda model: self._fill(model, question, stop.is_set))
        finally:
            stop.set()  # the worker frees itself at its next token
