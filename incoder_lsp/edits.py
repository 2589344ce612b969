"""What was done to a document: its text before and after comes in, an Edit goes out, and a History says what kind it was.

Editors send changes, not intentions. A pure text comparison makes the same Edit of a range, of a whole text sent anew and of
several changes at once; what was meant is told from its shape and from the texts that the document had before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

REMEMBERED = 64  # texts of one document that an undo can lead back to
PAIRS = ("()", "[]", "{}", '""', "''", "``")  # what an editor makes of one key


class Kind(Enum):
    TYPED = "typed"  # a key, with what the editor adds to it
    DELETED = "deleted"
    UNDONE = "undone"  # or redone: an earlier text is there again
    ACCEPTED = "accepted"  # a whole suggestion of ours
    ACCEPTED_IN_PART = "accepted in part"
    OTHER = "other"  # pasted, formatted, chosen in the popup, renamed


@dataclass(frozen=True)
class Edit:
    """`inserted` has taken the place of `removed` at `start` (code points)."""

    start: int
    removed: str
    inserted: str
    kind: Kind = Kind.OTHER

    @property
    def end(self) -> int:
        """Behind what was inserted: where the cursor is now, unless it was moved."""
        return self.start + len(self.inserted)

    def ends_at(self, offset: int, text: str) -> bool:
        """Whether this edit, or one further left that has the same outcome, has left the cursor at `offset`. text: with it."""
        if offset == self.end:
            return True
        length, changed = (len(self.inserted), text) if self.inserted else (0, text[: self.start] + self.removed)
        if offset > self.end or offset < length or (self.inserted and self.removed):
            return False
        behind = slice(offset, self.end) if length else slice(offset + len(self.removed), None)
        return changed[behind] == text[offset - length : self.start]


@dataclass(frozen=True)
class History:
    """The last edit of a document, and which texts it had, of which only hashes are kept."""

    last: Edit | None = None
    texts: tuple[int, ...] = ()

    def after(self, edit: Edit, before: str, text: str, accepted: Kind | None = None) -> History:
        """With one edit more, its kind found out. accepted: what it is where it took a suggestion over."""
        texts = self.texts or (hash(before),)
        kind = accepted or _kind(edit, hash(text) in texts)
        return History(replace(edit, kind=kind), (*texts, hash(text))[-REMEMBERED:])


def edit_between(before: str, after: str) -> Edit:
    """The smallest Edit that makes `after` of `before`. Of several the leftmost end wins: the common beginning is longest."""
    most = min(len(before), len(after))
    left = _common(most, lambda low, high: before[low:high] == after[low:high])
    ends = len(before), len(after)
    right = _common(
        most - left, lambda low, high: before[ends[0] - high : ends[0] - low] == after[ends[1] - high : ends[1] - low]
    )
    return Edit(left, before[left : ends[0] - right], after[left : ends[1] - right])


def is_key(inserted: str) -> bool:
    """One character, a closed pair, or a line end with its indentation."""
    return len(inserted) == 1 or inserted in PAIRS or (inserted[:1] in ("\n", "\r") and not inserted.strip())


def _kind(edit: Edit, seen: bool) -> Kind:
    if is_key(edit.inserted):
        return Kind.TYPED
    if seen and max(len(edit.removed), len(edit.inserted)) > 1:  # one character is as likely taken back by hand
        return Kind.UNDONE
    return Kind.OTHER if edit.inserted else Kind.DELETED


def _common(most: int, same: Callable[[int, int], Any]) -> int:
    """How many of the first `most` characters are the same, where same(low, high) compares a slice: by halving."""
    low, high = 0, most  # the first `low` are the same
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if same(low, middle) else (low, middle - 1)
    return low
