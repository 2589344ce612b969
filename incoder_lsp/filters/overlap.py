"""Never say again what already stands to the right of the cursor.

On the cursor's line, a tail of the suggestion that equals the rest of the line goes. Over several lines, trailing lines that
equal the lines below go, and all from where the next line is said; a suggestion that is nothing but it is dropped.
"""

from __future__ import annotations

from dataclasses import replace

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Drop, Suggestion

CLOSERS = set(")]}>\"'`,;: ")


def drop_overlap(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    text = suggestion.text
    rest = situation.line_right.rstrip()
    if rest.strip() and not set(rest) <= CLOSERS and text.rstrip().endswith(rest):
        text = text.rstrip()[: -len(rest)]
    lines, below = text.split("\n"), _lines_below(situation)
    lines = lines[: _reached(lines, below)]
    lines = lines[: len(lines) - _shared(lines[1:], below)]
    whole_line = situation.line_left + lines[0]
    if len(lines) == 1 and below and _same(whole_line, below[0]) and not set(whole_line) <= CLOSERS:
        return Drop("repeats the next line")
    return replace(suggestion, text="\n".join(lines))


def _lines_below(situation: Situation) -> list[str]:
    """The lines under the cursor's, without blank ones at the top."""
    below = situation.right.split("\n")[1:]
    first = next((i for i, line in enumerate(below) if line.strip()), len(below))
    return below[first:]


def _reached(lines: list[str], below: list[str]) -> int:
    """How many lines come before the first one that stands below, if that one says anything."""
    if not below or set(below[0]) <= CLOSERS:
        return len(lines)
    return next((i for i, line in enumerate(lines) if i and _same(line, below[0])), len(lines))


def _shared(lines: list[str], below: list[str]) -> int:
    """How many of the last `lines` are the first ones below, blank lines at the seam not counted."""
    for count in range(len(lines), 0, -1):
        tail = lines[-count:]
        filled = [line for line in tail if line.strip()]
        if filled and len(filled) <= len(below) and all(_same(a, b) for a, b in zip(filled, below, strict=False)):
            return count
    return 0


def _same(a: str, b: str) -> bool:
    return a.rstrip() == b.rstrip()
