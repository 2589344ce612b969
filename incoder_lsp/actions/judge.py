"""Whether what the model put into a hole may stay: an Infill and its place come in, the text for the hole or a Drop goes out.

The rules for suggestions at a cursor are asked first (`filters`); a fill then has to pass more, as nobody sees it before it
stands in the file: it is whole, its brackets are closed, it stays in its block, and Python that parsed still does.
"""

from __future__ import annotations

import re

from incoder_lsp.context import Situation
from incoder_lsp.filters import Drop, Suggestion, filter_suggestion
from incoder_lsp.filters.repetition import drop_circles
from incoder_model import metadata
from incoder_model.infill import Infill, InfillRequest

PAIRS = {")": "(", "]": "[", "}": "{"}

_STRING = re.compile(r"(\"\"\"|''')(?:\\.|(?!\1).)*\1|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`", re.DOTALL)
_UNDONE = re.compile(r"(?:pass|\.\.\.|<mask>|;|\s)*")


def situation(left: str, right: str, path: str) -> Situation:
    """What the filters know of a hole between two texts."""
    request = InfillRequest(left, right, metadata.header(metadata.file_attributes(path)))
    return Situation(left, right, left[left.rfind("\n") + 1 :], right.split("\n", 1)[0], path, request)


def judged(infill: Infill, where: Situation, *, block: bool) -> Suggestion | Drop:
    """What of `infill` may go into the hole; `block`: it has its line for itself."""
    if infill.stopped in ("budget", "context") and not (block and "\n" in infill.text):
        return Drop("too long")
    whole = drop_circles(Suggestion(infill.text), where)  # of what goes in circles, a suggestion has the beginning
    kept = whole if isinstance(whole, Drop) else filter_suggestion(infill, where)
    if isinstance(kept, Drop):
        return kept
    text = _in_block(kept.text.lstrip() if block else kept.text, where.line_left)
    if _UNDONE.fullmatch(text):
        return Drop("empty")
    if not closed(text):
        return Drop("unbalanced brackets")
    return Suggestion(text.rstrip(), kept.covers)


def closed(text: str) -> bool:
    """Does it close each bracket that it opens, and no other? Those in strings do not count."""
    waiting: list[str] = []
    for character in _STRING.sub("", text):
        if character in PAIRS.values():
            waiting.append(character)
        elif character in PAIRS and (not waiting or waiting.pop() != PAIRS[character]):
            return False
    return not waiting


def _in_block(text: str, indent: str) -> str:
    """Up to the first line that stands less deep than the hole: there its block has ended."""
    depth = _depth(indent)
    lines = text.split("\n")
    end = next((n for n, line in enumerate(lines[1:], 1) if line.strip() and _depth(line) < depth), len(lines))
    return "\n".join(lines[:end])


def _depth(line: str) -> int:
    line = line.expandtabs()
    return len(line) - len(line.lstrip())
