"""What is left of a text while its document is edited: an inserted stretch and the edits after it come in, characters go out.

It is kept as the pieces of it that still stand. An edit takes away what it removes and moves what is behind it. One that
rewrites a passage, as a formatter does, is first taken apart into what it really changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from difflib import SequenceMatcher

from incoder_lsp.edits import Edit

LONGEST_COMPARED = 4000  # characters of a rewritten passage, both sides together; a longer one counts as new throughout

Pieces = tuple[tuple[int, int], ...]  # [start, end) in the document as it is now


def surviving(pieces: Pieces) -> int:
    """Characters."""
    return sum(end - start for start, end in pieces)


def after_edit(pieces: Pieces, edit: Edit) -> Pieces:
    """Where the pieces are, and what is left of them, after an edit."""
    if all(end <= edit.start for _, end in pieces):
        return pieces
    touched = any(start < edit.start + len(edit.removed) and end > edit.start for start, end in pieces)
    for part in _parts(edit) if touched else (edit,):
        pieces = tuple(itertools.chain.from_iterable(_shifted(piece, part) for piece in pieces))
    return pieces


def _shifted(piece: tuple[int, int], edit: Edit) -> Iterator[tuple[int, int]]:
    """What an edit leaves of one piece: nothing, one or two."""
    (start, end), gone = piece, edit.start + len(edit.removed)
    if left := max(0, min(end, edit.start) - start):
        yield start, start + left
    if right := max(0, end - max(start, gone)):
        moved = max(start, gone) - len(edit.removed) + len(edit.inserted)
        yield moved, moved + right


def _parts(edit: Edit) -> list[Edit]:
    """The same edit as smaller ones, the last first, so that each has its place before those that come later are made."""
    if not (edit.removed and edit.inserted) or len(edit.removed) + len(edit.inserted) > LONGEST_COMPARED:
        return [edit]
    changes = SequenceMatcher(None, edit.removed, edit.inserted, autojunk=False).get_opcodes()
    return [
        Edit(edit.start + low, edit.removed[low:high], edit.inserted[from_:to])
        for tag, low, high, from_, to in reversed(changes)
        if tag != "equal"
    ]
