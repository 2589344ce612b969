"""When to ask the model, and whose answer still counts.

A Question (one frozen view of a document and its cursor) comes in, an Answer goes out. A document has at most one question in
the air: a newer one, an edit or a close ends the older, which is then answered with nothing. The client's own cancel arrives
here as the cancellation of `ask`. What was suggested is remembered, so that typing along is free. When the keys pause, the
model reads what it will be asked next; any question stops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event

from incoder_lsp.filling import Fill, Prepare, fill, prepare
from incoder_lsp.infiller import Unavailable
from incoder_lsp.logs import describe, log
from incoder_lsp.question import Answer, Question
from incoder_lsp.silence import reason_for_silence
from incoder_lsp.type_along import Known, anchored
from incoder_lsp.worker import Worker

QUIET_SECONDS = 0.3  # after an answer, before the next question is prepared


class Completer:
    """tell: the user, in a sentence. prepare: what is done when the keys pause."""

    def __init__(
        self,
        worker: Worker,
        fill: Fill = fill,
        tell: Callable[[str], None] = log.warning,
        prepare: Prepare = prepare,
    ):
        self._worker = worker
        self._fill, self._prepare = fill, prepare
        self._preparing: asyncio.Task[None] | None = None
        self._tell = tell  # the user, once, when completions stop coming
        self._away = False
        self._in_the_air: dict[str, asyncio.Task[Answer]] = {}  # by uri
        self._known: dict[str, Known] = {}  # by uri, the last answer only
        self.from_cache = 0  # questions so far that the last answer held for

    async def ask(self, question: Question) -> Answer:
        """What there is to suggest, or why there is nothing; a failure is logged."""
        self.drop(question.uri)
        if why := self._silence(question):
            return Answer(why=why)
        known = self._known.get(question.uri)
        if known and (rest := known.rest(question)):
            self.from_cache += 1
            self._prepare_after(known)
            return rest
        question = anchored(question, known.question if known else None)
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
            return Answer(why="superseded")
        if error := task.exception():
            self._report(error)
            return Answer(why="failed")
        self._away = False
        self._known[question.uri] = known = Known(question, task.result())
        self._prepare_after(known)
        return known.answer

    def _silence(self, question: Question) -> str | None:
        """Why the model is not even asked."""
        if not question.settings.enabled:
            return "switched off"
        if not self._worker.ready:
            return "the model is not ready"
        return reason_for_silence(question)

    def drop(self, uri: str) -> None:
        """The question in the air no longer fits the document."""
        if self._preparing:
            self._preparing.cancel()
        if task := self._in_the_air.pop(uri, None):
            task.cancel()

    def forget(self, uri: str | None = None) -> None:
        """What was known of one document, or of all, no longer holds."""
        for known in list(self._known) if uri is None else [uri]:
            self._known.pop(known, None)
        for asked in list(self._in_the_air) if uri is None else [uri]:
            self.drop(asked)

    def _report(self, error: BaseException) -> None:
        if not isinstance(error, Unavailable):
            log.error("no suggestion because of %s", describe(error))
        elif not self._away:
            self._away = True
            self._tell(str(error))

    def _prepare_after(self, known: Known) -> None:
        self._preparing = asyncio.create_task(self._read_on(known.likely_next))

    async def _read_on(self, likely_next: Callable[[], Question]) -> None:
        stop = Event()
        try:
            await asyncio.sleep(QUIET_SECONDS)
            question = likely_next()
            await self._worker.ask(lambda model: self._prepare(model, question, stop.is_set))
        except Exception as error:  # nobody waits for it
            log.error("the next question was not prepared because of %s", describe(error))
        finally:
            stop.set()

    async def _think(self, question: Question) -> Answer:
        stop = Event()
        try:
            if not question.invoked:
                await asyncio.sleep(question.settings.debounce_ms / 1000)
            answer = await self._worker.ask(lambda model: self._fill(model, question, stop.is_set))
            return answer or Answer(why="the model is not ready")
        finally:
            stop.set()  # the worker frees itself at its next token
