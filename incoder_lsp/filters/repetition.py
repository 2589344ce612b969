"""A model in doubt goes round in circles. Such text is no suggestion."""

from __future__ import annotations

import re

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Drop, Suggestion

CIRCLE = re.compile(r"(?=\S)(.{1,60}?)\1{3,}", re.DOTALL)  # four times the same in a row
SHORTEST = 12  # characters of a circle: `====` and `))))` are code
RULER = re.compile(r"([-=#*~_ ])\1*")  # as in the underline of a heading


def drop_circles(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    for circle in CIRCLE.finditer(suggestion.text):
        if len(circle[0]) >= SHORTEST and not RULER.fullmatch(circle[0]):
            return Drop("repeats itself")
    return suggestion
