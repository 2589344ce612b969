"""Tabs in a file of tabs, spaces in a file of spaces: what the model indents otherwise is converted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from math import gcd

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Suggestion

USUAL = 4  # spaces for a level, where nothing tells

_MARGIN = re.compile(r"^[ \t]*(?=\S)", re.MULTILINE)


def indent_as_the_file(suggestion: Suggestion, situation: Situation) -> Suggestion:
    lines = suggestion.text.split("\n")
    own = lines if not situation.line_left else lines[1:]  # those that the suggestion indents itself
    margins = [margin for line in own for margin in _MARGIN.findall(line)]
    if not any(margins):
        return suggestion
    around = _MARGIN.findall(situation.left) + _MARGIN.findall(situation.right)
    tabs, spaces = sum(margin[:1] == "\t" for margin in around), sum(margin[:2] == "  " for margin in around)
    if tabs > spaces and any(" " in margin for margin in margins):
        unit = _unit([margin.count(" ") for margin in margins])
        converted = [_MARGIN.sub(lambda found: _tabs(found[0], unit), line) for line in own]
    elif spaces > tabs and any("\t" in margin for margin in margins):
        unit = _step(around)
        converted = [_MARGIN.sub(lambda found: found[0].replace("\t", " " * unit), line) for line in own]
    else:
        return suggestion
    return replace(suggestion, text="\n".join([*lines[: len(lines) - len(own)], *converted]))


def _tabs(margin: str, unit: int) -> str:
    tabs, spaces = divmod(margin.count(" "), unit)
    return "\t" * (margin.count("\t") + tabs) + " " * spaces


def _unit(widths: list[int]) -> int:
    """How many spaces a level has that is said to be so wide, and so wide."""
    common = gcd(*widths)
    return 2 if common % USUAL == 2 else USUAL


def _step(margins: list[str]) -> int:
    """By how many spaces the lines of a file go in, most often."""
    steps = Counter(len(b) - len(a) for a, b in pairwise(margins) if len(b) - len(a) > 1)
    return steps.most_common(1)[0][0] if steps else USUAL
