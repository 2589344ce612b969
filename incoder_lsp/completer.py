"""When to ask the model, and whose answer still counts.

A Question (one frozen view of a document and its cursor) comes in, a Suggestion or None goes out. A document has at most
one question in the air: a newer one, an edit or a close ends the older, which is then answered None. The client's own
cancel arrives here as the cancellation of `ask`. What was suggested is remembered, so that typing along is free. When the
keys pause, the model reads what it will be asked next; any question stops it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING

from incoder_lsp.infiller import Infiller, Unavailable, own_model
from incoder_lsp.logs import describe, log
from incoder_lsp.settings import Settings
from incoder_lsp.silence import reason_for_silence
from incoder_lsp.worker import Worker

if TYPE_CHECKING:
    from incoder_lsp.context import Situation
    from incoder_lsp.filters import Suggestion

QUIET_SECONDS = 0.3  # after an answer, before the next question is prepared

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
    anchor: int | None = None  # where the prompt's typed part begins, see `context`


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

    def likely_next(self) -> Question:
        """The next line, after the suggestion was accepted."""
        from incoder_lsp.context import next_line

        asked, text, offset = self.question, self.question.text, self.question.offset
        if self.suggestion:
            text = text[:offset] + self.suggestion.text + text[offset + self.suggestion.covers :]
            offset += len(self.suggestion.text)
        text, offset = next_line(text, offset, asked.eol)
        return _anchored(replace(asked, text=text, offset=offset), asked)

    def _typed(self, later: Question) -> str:
        return later.text[self.question.offset : later.offset]


def _anchored(question: Question, earlier: Question | None) -> Question:
    """With the anchor of the `earlier` question about the same document, if it still holds."""
    from incoder_lsp.context import anchor_at, keeps_anchor

    text, offset, anchor = question.text, question.offset, earlier and earlier.anchor
    if earlier is None or anchor is None or not keeps_anchor(anchor, (earlier.text, earlier.offset), text, offset):
        anchor = anchor_at(text, offset)
    return replace(question, anchor=anchor)


Fill = Callable[[Infiller, Question, Callable[[], bool]], "Suggestion | None"]
Prepare = Callable[[Infiller, Question, Callable[[], bool]], None]


def fill(model: Infiller, question: Question, stop: Callable[[], bool]) -> Suggestion | None:
    """One pass through the house; runs on the worker. The imports are here because the relay must not pay for them."""
    from incoder_lsp.filters import Drop, filter_suggestion

    situation = _situation(question)
    if situation is None:
        return None
    suggestion = filter_suggestion(model.infill(situation.request, stop), situation)
    if isinstance(suggestion, Drop):
        log.debug("no suggestion: %s", suggestion.reason)
        return None
    return replace(suggestion, text=_LINE_END.sub(question.eol, suggestion.text))


def prepare(model: Infiller, question: Question, stop: Callable[[], bool]) -> None:
    """Read what `fill` would have to read; runs on the worker when it has nothing else to do. A server is left in peace."""
    own = own_model(model)
    if own and (situation := _situation(question)):
        from incoder_model.infill import prefill

        prefill(own, situation.request, stop)


def _situation(question: Question) -> Situation | None:
    from incoder_lsp.context import situation_at

    text, offset, path = question.text, question.offset, question.path
    return situation_at(
        text, offset, path, invoked=question.invoked, settings=question.settings, anchor=question.anchor
    )


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
        self._in_the_air: dict[str, asyncio.Task[Suggestion | None]] = {}  # by uri
        self._known: dict[str, _Known] = {}  # by uri, the last answer only
        self.from_cache = 0  # questions so far that the last answer held for

    async def ask(self, question: Question) -> Suggestion | None:
        """The suggestion, or None: nothing to suggest, no model yet, superseded, or a failure (which is logged)."""
        self.drop(question.uri)
        if not (question.settings.enabled and self._worker.ready):
            return None
        text, offset, invoked = question.text, question.offset, question.invoked
        if reason := reason_for_silence(question.path, text, offset, invoked=invoked):
            log.debug("no suggestion: %s", reason)
            return None
        known = self._known.get(question.uri)
        if known and known.holds_for(question):
            self.from_cache += 1
            self._prepare_after(known)
            return known.rest(question)
        question = _anchored(question, known.question if known else None)
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
            self._report(error)
            return None
        self._away = False
        self._known[question.uri] = known = _Known(question, task.result())
        self._prepare_after(known)
        return known.suggestion

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

    def _prepare_after(self, known: _Known) -> None:
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

    async def _think(self, question: Question) -> Suggestion | None:
        stop = Event()
        try:
            if not question.invoked:
                await asyncio.sleep(question.settings.debounce_ms / 1000)
            return await self._worker.ask(lambda model: self._fill(model, question, stop.is_set))
        finally:
            stop.set()  # the worker frees itself at its next token
