"""Editors close brackets and quotes as soon as they are opened, so the closing one often stands right of the cursor already.

Where the suggestion closes it too, it covers the one that is there: the editor replaces it by the suggestion, which goes
through it, and none is doubled. A suggestion is cut before a bracket that closes nothing, and
before a string that does not end on its line. One that leaves a bracket open is dropped, unless it ends as lines do that go on
below.
"""

from __future__ import annotations

import re
from dataclasses import replace

from incoder_lsp.context import CLOSERS, Situation
from incoder_lsp.filters.suggestion import Drop, Suggestion

PAIRS = {"(": ")", "[": "]", "{": "}"}
BRACKET = re.compile(r"[()\[\]{}]")
QUOTES = "\"'`"
GOES_ON = re.compile(r"(?:[(\[{,\\:=+\-*/%|&<>?.]|\b(?:and|or|not|in|is|if|else|for))\s*\Z")
APOSTROPHE = re.compile(r"(?<=\w\w)'(?=\w)")  # as in `don't`; a string's prefix is mostly one letter


def cover_closers(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    """Counts the closers right of the cursor that the suggestion's first line closes itself."""
    rest = situation.line_right
    waiting = rest[: len(rest) - len(rest.lstrip(CLOSERS))]  # such as `")`
    _, left_open = _loose_brackets(situation.left)
    closed_later, _ = _loose_brackets(situation.right)
    spare = left_open - closed_later  # brackets that still want closing
    covered = string_start = 0
    open_here: list[str] = []  # what the suggestion has opened and must close: brackets, or the quote of a string
    text = suggestion.text.replace('"""', "   ").replace("'''", "   ")  # these need not close on their line
    for i, character in enumerate(text + "\n"):
        expected = waiting[covered : covered + 1]
        if character == "\n":
            if open_here and open_here[-1] in QUOTES:
                return Suggestion(suggestion.text[:string_start], covered, whole=False)
            waiting = waiting[:covered]  # a suggestion covers what is on its first line
        elif open_here and character == open_here[-1]:
            open_here.pop()
        elif (open_here and open_here[-1] in QUOTES) or APOSTROPHE.match(text, i):
            continue
        elif not open_here and character == expected:
            covered += 1
        elif not open_here and expected and expected in QUOTES:
            continue  # inside the string that the editor has closed
        elif character in PAIRS or character in QUOTES:
            open_here.append(PAIRS.get(character, character))
            string_start = i
        elif not open_here and character in PAIRS.values():
            spare -= 1
            if spare < 0:
                return replace(suggestion, text=suggestion.text[:i], covers=covered)
    closed_below = max(0, -spare)
    if suggestion.whole and len(open_here) > closed_below and not GOES_ON.search(suggestion.text):
        return Drop("unbalanced brackets")
    return replace(suggestion, covers=covered)


def _loose_brackets(text: str) -> tuple[int, int]:
    """How many brackets `text` closes that it has not opened, and how many it leaves open."""
    unopened = unclosed = 0
    for character in BRACKET.findall(text):
        if character in PAIRS:
            unclosed += 1
        elif unclosed:
            unclosed -= 1
        else:
            unopened += 1
    return unopened, unclosed
