"""How a session is, for its editor's status line: what happens in it comes in, `incoder/status` goes out, on change only.

    {state: "loading" | "ready" | "busy" | "off" | "error", message, model, latencyMs}

It is sent to clients that announce `experimental.incoder.status`. "off" is about the document that has the focus or was asked
about last. An answer that comes soon is no reason to be busy, nor is one that the next key has stopped to be ready again: a
status line that flickers is worse than none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from incoder_lsp.asking import about
from incoder_lsp.infiller import name_of
from incoder_lsp.logs import describe, log
from incoder_lsp.reasons import reason_of
from incoder_lsp.silence import reason_for_silence

if TYPE_CHECKING:
    from incoder_lsp.page import Record
    from incoder_lsp.server import Server

METHOD = "incoder/status"
SOON = 0.15  # seconds until the model counts as busy, and, once it is, until it counts as resting
SHIFT = 0.3  # by such a part a latency must change to be told for its own sake
MODES = {"manual": "Suggestions come when you ask.", "subtle": "Suggestions are shown when you ask."}


@dataclass(frozen=True)
class Status:
    state: str
    message: str
    model: str
    latency: float | None  # seconds that the model took for its last answer

    def as_json(self) -> dict[str, Any]:
        milliseconds = None if self.latency is None else round(self.latency * 1000)
        return {"state": self.state, "message": self.message, "model": self.model, "latencyMs": milliseconds}

    def is_news(self, told: Status | None) -> bool:
        if told is None or (self.state, self.message, self.model) != (told.state, told.message, told.model):
            return True
        now, before = self.latency or 0.0, told.latency or 0.0
        return abs(now - before) > SHIFT * max(now, before)


class Teller:
    """Of one session."""

    def __init__(self, ls: Server):
        self.failure = ""  # why there is no model, in a sentence
        self._ls = ls
        self._told: Status | None = None
        self._place: tuple[str, int] | None = None  # the document that "off" is about, and an offset in it
        self._latency: float | None = None
        self._at_work = 0
        self._busy = False
        self._turning: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Something may have changed."""
        if not _is_wanted(self._ls.client_capabilities.experimental):
            return
        now = self._status()
        if now.is_news(self._told):
            self._told = now
            self._ls.protocol.notify(METHOD, now.as_json())

    def focus(self, uri: str | None) -> None:
        self._place = (uri, 0) if uri else None
        self.look()

    def heard(self, record: Record) -> None:
        """A question was answered."""
        self._place = record.question.uri, record.question.offset
        self.look()

    @contextmanager
    def working(self) -> Iterator[None]:
        """While the model is asked."""
        began = time.monotonic()
        self._at_work += 1
        self._turn(busy=True)
        finished = False
        try:
            yield
            self._latency, finished = time.monotonic() - began, True
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._turn(busy=False, now=finished)

    def leave(self) -> None:
        if self._turning:
            self._turning.cancel()

    def _turn(self, *, busy: bool, now: bool = False) -> None:
        """In a moment; a turn the other way before that undoes it. now: nobody need be told of this for its own sake."""
        self.leave()
        if now:
            self._busy = busy
        elif self._busy != busy:
            self._turning = asyncio.get_running_loop().call_later(SOON, self._turned, busy)

    def _turned(self, busy: bool) -> None:
        self._busy = busy
        try:
            self.look()
        except Exception as error:  # on the event loop nobody else would say so
            log.error("the status could not be told: %s", describe(error))

    def _status(self) -> Status:
        state, message = self._state()
        return Status(state, message, name_of(self._ls.source), self._latency)

    def _state(self) -> tuple[str, str]:
        if off := self._off():
            return "off", reason_of(off).message
        if not self._ls.worker.ready:
            return ("error", self.failure) if self.failure else ("loading", "The model is loading.")
        if away := self._ls.completer.away:
            return "error", f"{away[:1].upper()}{away[1:]}"
        return "busy" if self._busy else "ready", MODES.get(self._settings.mode, "")

    def _off(self) -> str | None:
        """Why nothing is suggested in the document, whatever the moment."""
        if not self._settings.enabled:
            return "switched off"
        if self._place is None or self._place[0] not in self._ls.documents:
            return None
        return reason_for_silence(about(self._ls, *self._place, invoked=False))

    @property
    def _settings(self) -> Any:
        return self._ls.configuration.settings_of(self._place[0]) if self._place else self._ls.settings


def _is_wanted(experimental: Any) -> bool:
    """What a client announces may be any JSON, which pygls reads as dictionaries or as named tuples."""
    for name in ("incoder", "status"):
        experimental = experimental.get(name) if isinstance(experimental, dict) else getattr(experimental, name, None)
    return experimental is True
