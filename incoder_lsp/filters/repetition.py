"""A model in doubt says the same again: the line above, its own lines, or one piece over and over."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Drop, Suggestion

CIRCLE = re.compile(r"(?=\S)(.{1,60}?)\1{3,}", re.DOTALL)  # four times the same in a row
SHORTEST = 12  # characters of a circle: `====` and `))))` are code
RULER = re.compile(r"([-=#*~_ ])\1*")  # as in the underline of a heading
TELLING = 6  # characters of a line: `end` and `});` may come again
SHORT, MOST = 2, 3  # a line of more characters than that comes no more often than that


def drop_circles(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    for circle in CIRCLE.finditer(suggestion.text):
        if len(circle[0]) >= SHORTEST and not RULER.fullmatch(circle[0]):
            return Drop("repeats itself")
    return suggestion


def cut_repeated_lines(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    """Ends before a line that is the one before it once more, before two that were said before as they are, and before one
    that comes too often."""
    lines = suggestion.text.split("\n")
    above = next((line for line in reversed(situation.left.split("\n")[:-1]) if line.strip()), "")
    said = [above, situation.line_left + lines[0], *lines[1:]]
    seen: set[tuple[str, str]] = set()
    times: Counter[str] = Counter()
    for i, (before, line) in enumerate(pairwise(map(str.rstrip, said))):
        telling = len(line.strip()) >= TELLING
        if telling and (line == before or (before, line) in seen):
            kept = lines[: i if line == before else i - 1]
            return replace(suggestion, text="\n".join(kept)) if kept else Drop("repeats the line above")
        times[line.strip()] += len(line.strip()) > SHORT
        if times[line.strip()] > MOST:
            return replace(suggestion, text="\n".join(lines[:i]))
        seen.add((before, line))
    return suggestion
