"""Editors close brackets and quotes as soon as they are opened, so the closing one often stands right of the cursor already.

Where the suggestion closes it too, it covers the one that is there: the editor replaces it by the suggestion, which goes
through it, and none is doubled.
"""

from __future__ import annotations

from dataclasses import replace

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Suggestion

PAIRS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = ")]}\"'`"


def cover_closers(suggestion: Suggestion, situation: Situation) -> Suggestion:
    """Counts the closers right of the cursor that the suggestion's first line closes itself."""
    rest = situation.line_right
    waiting = rest[: len(rest) - len(rest.lstrip(CLOSERS))]  # such as `")`
    covered = 0
    open_here: list[str] = []  # what the suggestion has opened and must close: brackets, or the quote of a string
    for character in suggestion.text.split("\n", 1)[0]:
        if covered == len(waiting):
            break
        inside_string = bool(open_here) and open_here[-1] in "\"'`"
        if open_here and character == open_here[-1]:
            open_here.pop()
        elif not open_here and character == waiting[covered]:
            covered += 1
        elif not inside_string and not (waiting[covered] in "\"'`" and not open_here):
            if character in PAIRS:
                open_here.append(PAIRS[character])
            elif character in "\"'`":
                open_here.append(character)
    return replace(suggestion, covers=covered)
