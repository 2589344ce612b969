"""What a client knows of a text: where a position is, and what an edit makes of it. As plain as can be, to be compared with.

Offsets count code points. A position is (line, code units of the negotiated encoding); a line ends at \\n, \\r\\n or \\r only.
"""

from __future__ import annotations

import random
import re

Position = tuple[int, int]

UNIT = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}  # codec, bytes in a code unit

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
AWKWARD = ("é", "e\u0301", "😀", "👩\u200d👩\u200d👧", "\u2028", "\u2029", "\f", "\x0b", "\x85", "\x1c", "\t", "\ufeff")
ENDS = ("\n", "\r\n", "\r")
WORDS = ("value", "items", "self.", "return ", "(", ")", " = ", "42", "for x in ", ":", "#", '"""', "    ", "x")


def units(text: str, encoding: str) -> int:
    """The length of `text` as the client counts it."""
    codec, size = UNIT[encoding]
    return len(text.encode(codec, "surrogatepass")) // size


def position(text: str, offset: int, encoding: str) -> Position:
    """Of an offset that is not between a \\r and its \\n."""
    line, start = 0, 0
    for match in _LINE.finditer(text):
        start = match.start()
        if match.end() > offset or match.end() == len(text):
            break
        line += 1
    if offset == len(text) and text[-1:] in ("\n", "\r") and start < offset:
        line, start = line + 1, offset
    return line, units(text[start:offset], encoding)


def offset(text: str, place: Position, encoding: str) -> int | None:
    """None where the text has no such position."""
    lines = [match for match in _LINE.finditer(text) if match.group() or match.start() == len(text)]
    if text[-1:] not in ("\n", "\r") and len(lines) > 1 and not lines[-1].group():
        lines.pop()  # the empty match behind a last line without an end
    line, column = place
    if not 0 <= line < len(lines):
        return None
    content = lines[line].group().rstrip("\r\n")
    for index in range(len(content) + 1):
        if units(content[:index], encoding) == column:
            return lines[line].start() + index
    return None


def edit(rng: random.Random, text: str) -> tuple[int, int, str]:
    """A random edit as a person, a formatter or a paste makes one: (start, end, new text)."""
    start = _place(rng, text)
    end = start if rng.random() < 0.6 else _snap(text, min(len(text), start + rng.randrange(12)))
    pool = WORDS if rng.random() < 0.5 else AWKWARD if rng.random() < 0.6 else ENDS
    new = "".join(rng.choice(pool) for _ in range(rng.randrange(4)))
    return start, end, new


def _place(rng: random.Random, text: str) -> int:
    return _snap(text, rng.randrange(len(text) + 1))


def _snap(text: str, place: int) -> int:
    """No position lies between a \\r and its \\n."""
    return place + (text[place - 1 : place + 1] == "\r\n")
