"""Several lines stay in the block that the cursor is in: they end before the first one that stands less deep.

Brackets that close the block, alone on their line, still belong to it; `brackets` cuts those that close nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Suggestion

CLOSING = re.compile(r"[)\]}][)\]},;\s]*")


def stay_in_block(suggestion: Suggestion, situation: Situation) -> Suggestion:
    lines = suggestion.text.split("\n")
    filled = [line for line in (situation.line_left + lines[0], *lines[1:]) if line.strip()]
    level = _depth(filled[0]) if filled else 0
    for i, line in enumerate(lines[1:], 1):
        if line.strip() and _depth(line) < level:
            return replace(suggestion, text="\n".join(lines[: i + bool(CLOSING.fullmatch(line.strip()))]))
    return suggestion


def _depth(line: str) -> int:
    line = line.expandtabs()
    return len(line) - len(line.lstrip())
