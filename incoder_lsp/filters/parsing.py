"""Python that would not parse is no suggestion: lines at whose end it breaks are cut, and what breaks on its first is dropped.

Asked is only the definition around the cursor, and only if it parses without the cursor's line. A line that the model has not
ended counts as one that may still become right.
"""

from __future__ import annotations

import re
from dataclasses import replace

from incoder_lsp.context import Situation
from incoder_lsp.filters.python import STRINGS, Around, around, is_code, parses
from incoder_lsp.filters.suggestion import Drop, Suggestion

LONGEST = 12  # lines that are asked for one by one

_CONTINUES = re.compile(r"[\\,(\[{=]\s*\Z|^\s*@")  # a line that does not end its statement
_SUITE = re.compile(
    r"^[ \t]*(try|if|elif|else|for|while|with|def|class|async|except|finally|match|case)\b.*:\s*\Z", re.DOTALL
)


def cut_unparsable(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    if not suggestion.whole or not is_code(situation):
        return suggestion
    place = around(situation)
    margin = re.match(r"\s*", situation.line_left)
    assert margin
    if not any(parses(_joined(place, margin[0] + filler)) for filler in ("pass", "")):
        return suggestion  # broken already
    rest = situation.line_right[suggestion.covers :]
    lines = suggestion.text.split("\n")
    for count in range(len(lines), max(0, len(lines) - LONGEST), -1):
        kept = "\n".join(lines[:count])
        if _may_stand(place, situation.line_left + kept + rest):
            return replace(suggestion, text=kept)
    return Drop("would not parse")


def _may_stand(place: Around, text: str) -> bool:
    bare = STRINGS.sub("", text).rstrip()
    last = bare[bare.rfind("\n") + 1 :]
    if _open(bare) or _CONTINUES.search(last) or any(text.count(quotes) % 2 for quotes in ('"""', "'''")):
        return True
    endings = [""]
    if suite := _SUITE.search(last):
        body = "\n" + re.match(r"\s*", last)[0] + " pass"  # type: ignore[index]
        endings = ["", body] if suite[1] != "try" else ["", body + body.replace(" pass", "except E: pass")]
        if suite[1] == "match":
            return True
    return any(parses(_joined(place, text + ending)) for ending in endings)


def _open(text: str) -> bool:
    """Brackets that are left open."""
    return any(text.count(a) > text.count(b) for a, b in ("()", "[]", "{}"))


def _joined(place: Around, line: str) -> str:
    return f"{place.above}\n{line}\n{place.below}\n"
