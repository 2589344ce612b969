"""What becomes of suggestions, told from the text alone, so that it works in every editor: shown, taken over, kept.

Suggestions that were given and the edits of their documents come in; counts go into a Tally, and each edit's answer says whether
it took one over. No timer is needed: nothing changes between two edits, so what was left after 30 seconds is what is left when
the next edit comes, or the next question about the numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from incoder_lsp.edits import Edit, Kind, is_key
from incoder_lsp.logs import log
from incoder_lsp.survival import Pieces, after_edit, surviving
from incoder_lsp.tally import Tally, add_statistics, language_of, statistics_path
from incoder_lsp.type_along import Known

TIMES = ((30.0, "30s"), (300.0, "5min"))  # seconds after which accepted text is looked at again
SAVE_EVERY = 300.0  # seconds
MOST_ACCEPTED = 200  # of one document, on their way to five minutes


@dataclass(frozen=True)
class Where:
    """What a count belongs to."""

    language: str
    keep: bool  # in the file, too; else only in this session's memory


@dataclass
class Shown:
    """A suggestion that is in front of the user, and what was taken of it."""

    known: Known
    where: Where
    counted: bool = False  # as shown
    furthest: int = 0  # characters of it, the most that ever stood in the text
    accepted: bool = False


@dataclass
class Accepted:
    """Text that was taken over."""

    pieces: Pieces  # what is left of it
    length: int  # characters, at first
    since: float
    where: Where
    looks: int = 0  # of TIMES, so far


@dataclass
class Page:
    """One document."""

    shown: Shown | None = None
    accepted: list[Accepted] = field(default_factory=list)


class Acceptance:
    """One session's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.tally = Tally()
        self._unsaved = Tally()
        self._saved = clock()
        self._clock = clock
        self._pages: dict[str, Page] = {}
        self._given: Shown | None = None  # the last one, in any document
        self._tells = False

    def give(self, known: Known) -> None:
        """A suggestion goes to the client."""
        asked = known.question
        page = self._pages.setdefault(asked.uri, Page())
        if page.shown and page.shown.known is known:
            return
        page.shown = self._given = Shown(known, Where(language_of(asked.path), asked.settings.statistics))
        if not self._tells:
            self._show(page.shown)

    def told_shown(self, text: str) -> None:
        """The client says by itself what it shows; from now on only that counts as shown."""
        self._tells = True
        if shown := self._told_of(text):
            self._show(shown)

    def told_part(self, text: str, length: int) -> None:
        """The client says that `length` characters were taken over, which the text may not have told."""
        if (shown := self._told_of(text)) and not shown.accepted:
            self._take(shown, "word", length)

    def edited(self, uri: str, edit: Edit, text: str) -> Kind | None:
        """After an edit of a document, which has `text` now: the kind of the edit if it took a suggestion over."""
        if self._clock() > self._saved + SAVE_EVERY:
            self.save()
        page = self._pages.get(uri)
        if page is None:
            return None
        self._settle(page)
        for one in page.accepted:
            one.pieces = after_edit(one.pieces, edit)
        standing = page.shown and page.shown.known.standing(text)
        if not page.shown or not standing:
            return None
        return self._progress(page, page.shown, edit, standing[0].text, standing[1])

    def forget(self, uri: str) -> None:
        """The document is closed: what was not looked at in time is not counted."""
        if page := self._pages.pop(uri, None):
            self._settle(page)

    def settle(self) -> None:
        """Look at all that is due."""
        for page in self._pages.values():
            self._settle(page)

    def save(self) -> None:
        """Add what was counted since the last time to the file of all sessions."""
        self.settle()
        unsaved, self._unsaved, self._saved = self._unsaved, Tally(), self._clock()
        path = statistics_path()
        try:
            if unsaved.languages:
                add_statistics(path, unsaved)
        except OSError as error:
            log.warning("the statistics cannot be kept in %s: %s", path, os.strerror(error.errno or 0).lower())

    def _progress(self, page: Page, shown: Shown, edit: Edit, suggestion: str, now: int) -> Kind | None:
        if now <= shown.furthest:
            return None  # a deletion, or what was undone is done again
        shown.furthest = now
        how = _how(suggestion, edit, now)
        if how is None:
            if now == len(suggestion) and not shown.accepted:
                self._count(shown.where, "typed")
            return None
        self._take(shown, how, len(edit.inserted))
        taken = Accepted(((edit.start, edit.end),), len(edit.inserted), self._clock(), shown.where)
        page.accepted = [*page.accepted, taken][-MOST_ACCEPTED:]
        return Kind.ACCEPTED if now == len(suggestion) else Kind.ACCEPTED_IN_PART

    def _show(self, shown: Shown) -> None:
        if not shown.counted:
            self._count(shown.where, "shown")
        shown.counted = True

    def _take(self, shown: Shown, how: str, length: int) -> None:
        if not shown.accepted:
            self._count(shown.where, "accepted")
        shown.accepted = True
        self._count(shown.where, how)
        self._count(shown.where, "characters", length)

    def _settle(self, page: Page) -> None:
        now = self._clock()
        for one in page.accepted:
            while one.looks < len(TIMES) and now >= one.since + TIMES[one.looks][0]:
                name = TIMES[one.looks][1]
                self._count(one.where, f"measured{name}", one.length)
                self._count(one.where, f"kept{name}", surviving(one.pieces))
                one.looks += 1
        page.accepted = [one for one in page.accepted if one.looks < len(TIMES)]

    def _told_of(self, text: str) -> Shown | None:
        """The last suggestion that was given, if an item of this text is what is left of it."""
        given = self._given
        known = given and any(one.text.endswith(text) for one in given.known.answer.suggestions)
        return given if text and known else None

    def _count(self, where: Where, count: str, number: int = 1) -> None:
        self.tally.add(where.language, count, number)
        if where.keep:
            self._unsaved.add(where.language, count, number)


def _how(suggestion: str, edit: Edit, now: int) -> str | None:
    """By what it was taken over, up to `now` characters: whole, line or word; None if it was typed.

    An editor that sends several keys at once ends inside a word, as no accept does.
    """
    if is_key(edit.inserted):
        return None
    if now == len(suggestion):
        return "whole"
    if suggestion[now - 1] in "\r\n" or suggestion[now] in "\r\n":
        return "line"
    inside = suggestion[now - 1 : now + 1].replace("_", "a").isalnum()
    return None if inside else "word"
