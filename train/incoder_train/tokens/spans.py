"""Holes like an editor's. The paper's spans are uniform: a third of a file long on average, and they begin anywhere. A cursor
asks for the rest of a line or a few lines, so a recipe can have a share of its samples masked like that."""

from __future__ import annotations

import numpy as np

FROM_LINE_START = 0.7  # the editor's prompt anchors a hole at the start of the line
MORE_LINES = 0.3  # a span goes on for another line with this probability


def editor_span(is_newline: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
    """A span that ends where a line ends, of a block whose tokens hold a line end where `is_newline` (time,) says so.

    It begins at the start of a random line, or anywhere in it. None if the block has no line with text.
    """
    breaks = np.flatnonzero(is_newline)
    starts = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(is_newline)]])
    lines = np.flatnonzero(ends > starts)
    if not len(lines):
        return None
    first = int(rng.integers(len(lines)))
    last = min(first + int(rng.geometric(1 - MORE_LINES)) - 1, len(lines) - 1)
    start, end = int(starts[lines[first]]), int(ends[lines[last]])
    if rng.random() >= FROM_LINE_START:
        start = int(rng.integers(start, ends[lines[first]]))
    return start, end
