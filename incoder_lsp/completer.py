"""When to ask the model, and whose answer still counts.

A Question (one frozen view of a document and its cursor) comes in, an Answer goes out. A document has at most one question in
the air: a newer one, an edit or a close ends the older, which is then answered with nothing. The client's own cancel arrives
here as the cancellation of `ask`. What was suggested is remembered, so that typing along is free. When the keys pause, the
model reads what it will be asked next; any question stops it. Which moments are right, `when` and `rhythm` say; what became of
it all, `acceptance`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from threading import Event

from incoder_lsp.acceptance import Acceptance
from incoder_lsp.edits import Kind, edit_between
from incoder_lsp.filling import Fill, Prepare, fill, prepare
from incoder_lsp.infiller import Unavailable
from incoder_lsp.logs import describe, log
from incoder_lsp.page import Page, Record
from incoder_lsp.question import Answer, Question
from incoder_lsp.rhythm import Rhythm
from incoder_lsp.silence import reason_for_silence
from incoder_lsp.type_along import Known, anchored
from incoder_lsp.when import SUBTLE, reason_to_wait, settled
from incoder_lsp.worker import Worker

QUIET_SECONDS = 0.3  # after an answer, before the next question is prepared


class Completer:
    """tell: the user, in a sentence. prepare: what is done when the keys pause. clock: seconds, monotonic."""

    def __init__(
        self,
        worker: Worker,
        fill: Fill = fill,
        tell: Callable[[str], None] = log.warning,
        prepare: Prepare = prepare,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._worker = worker
        self._fill, self._prepare = fill, prepare
        self._preparing: asyncio.Task[None] | None = None
        self._tell = tell  # the user, once, when completions stop coming
        self._away = False
        self._clock = clock
        self._rhythm = Rhythm()
        self._pressed: float | None = None  # when the edit was made that nothing was asked about yet
        self._in_the_air: dict[str, asyncio.Task[Answer]] = {}  # by uri
        self._pages: dict[str, Page] = {}  # by uri
        self.acceptance = Acceptance(clock)
        self.from_cache = 0  # questions so far that an earlier answer held for

    def last(self, uri: str) -> Record | None:
        """What was asked last about a document, and what came of it."""
        page = self._pages.get(uri)
        return page and page.last

    async def ask(self, question: Question) -> Answer:
        """What there is to suggest, or why there is nothing; a failure is logged."""
        began, pressed, self._pressed = self._clock(), self._pressed, None
        self.drop(question.uri)
        page = self._pages.setdefault(question.uri, Page())
        found = None
        if why := self._silence(question, page):
            answer = Answer(why=why)
        elif found := page.recall(question):
            self.from_cache += 1
            answer = self._give(*found)
        elif why := reason_to_wait(question, page.history.last):
            answer = Answer(why=why)
        else:
            answer = await self._ask_the_model(question, page, began if pressed is None else pressed)
        if question.uri not in self._in_the_air:
            page.last = Record(question, answer, found is not None, (self._clock() - began) * 1000)
        return answer

    def why_not(self, question: Question) -> str | None:
        """Why the model would not be asked this now; None if it would."""
        page = self._pages.get(question.uri, Page())
        return self._silence(question, page) or reason_to_wait(question, page.history.last)

    def edited(self, uri: str, before: str, text: str) -> None:
        """A document has changed: the question in the air no longer fits it."""
        self.drop(uri)
        if before == text:
            return
        page, edit = self._pages.setdefault(uri, Page()), edit_between(before, text)
        page.history = page.history.after(edit, before, text, self.acceptance.edited(uri, edit, text))
        self._pressed = self._clock()
        if page.history.last and page.history.last.kind is Kind.TYPED:
            self._rhythm = self._rhythm.key(self._pressed)

    def drop(self, uri: str) -> None:
        """Nobody waits for the question in the air any more."""
        if self._preparing:
            self._preparing.cancel()
        if task := self._in_the_air.pop(uri, None):
            task.cancel()

    def forget(self, uri: str | None = None) -> None:
        """A document is new or gone; or what was answered about any of them no longer holds."""
        if uri is not None:
            self.acceptance.forget(uri)
            self._pages.pop(uri, None)
        for page in self._pages.values() if uri is None else ():
            page.known.clear()
        for asked in list(self._in_the_air) if uri is None else [uri]:
            self.drop(asked)

    def _silence(self, question: Question, page: Page) -> str | None:
        """Why not even what is known is said."""
        if not question.settings.enabled:
            return "switched off"
        if not self._worker.ready:
            return "the model is not ready"
        why = reason_for_silence(question)
        return why or settled(question, page.history.last)

    async def _ask_the_model(self, question: Question, page: Page, pressed: float) -> Answer:
        question = anchored(question, page.known[-1].question if page.known else None)
        task = asyncio.create_task(self._think(question, pressed))
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
        known = Known(question, task.result(), hidden=question.settings.mode == "subtle" and not question.invoked)
        page.known.append(known)
        return self._give(known, Answer(why=SUBTLE) if known.hidden else known.answer)

    def _give(self, known: Known, answer: Answer) -> Answer:
        """An answer that comes of a known one."""
        if answer.suggestions:
            self.acceptance.give(known)
        if known.question.settings.mode != "manual":
            self._preparing = asyncio.create_task(self._read_on(known.likely_next))
        return answer

    def _report(self, error: BaseException) -> None:
        if not isinstance(error, Unavailable):
            log.error("no suggestion because of %s", describe(error))
        elif not self._away:
            self._away = True
            self._tell(str(error))

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

    async def _think(self, question: Question, pressed: float) -> Answer:
        """pressed: when what is asked about came about."""
        stop = Event()
        try:
            if question.invoked:
                return await self._work(question, stop)
            wait = self._rhythm.wait(question.settings.debounce_ms / 1000)
            await asyncio.sleep(max(0.0, wait - (self._clock() - pressed)))
            return await self._timed(question, stop)
        finally:
            stop.set()  # the worker frees itself at its next token

    async def _timed(self, question: Question, stop: Event) -> Answer:
        """What the user asks for may take longer; what the editor asks for must keep pace with the keys."""
        began = self._clock()
        try:
            answer = await self._work(question, stop)
        except asyncio.CancelledError:
            self._rhythm = self._rhythm.stopped(self._clock() - began)
            raise
        self._rhythm = self._rhythm.answered(self._clock() - began)
        return answer

    async def _work(self, question: Question, stop: Event) -> Answer:
        answer = await self._worker.ask(lambda model: self._fill(model, question, stop.is_set))
        return answer or Answer(why="the model is not ready")
