"""What both rules for Python alone must know: which places they are for, and the code around the cursor that parses by itself."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass

from incoder_lsp.context import Situation

SUFFIXES = (".py", ".pyi")
STRINGS = re.compile(
    r"(\"\"\"|''')(?:\\.|(?!\1).)*(?:\1|\Z)|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|#[^\n]*", re.DOTALL
)  # and comments; those that do not end, too

_OPENER = re.compile(r"\s*(?:def|class|async\s+def)\b")


@dataclass(frozen=True)
class Around:
    """The lines of the function or class that the cursor is in, or of the statements outside any, without the cursor's line."""

    above: str
    below: str


def is_code(situation: Situation) -> bool:
    """Python, and the cursor is neither in a comment nor in a string of several lines."""
    if not situation.path.endswith(SUFFIXES):
        return False
    *_, last = (None, *STRINGS.finditer(situation.left))
    if last is None or last.end() < len(situation.left):
        return True
    return not (last[0].startswith("#") or (last[1] and (len(last[0]) < 6 or not last[0].endswith(last[1]))))


def around(situation: Situation) -> Around:
    """The innermost definition; outside of any, what stands around in column 0."""
    above, below = situation.left.split("\n")[:-1], situation.right.split("\n")[1:]
    depth = _depth(situation.line_left) if situation.line_left.strip() else len(situation.line_left.expandtabs())
    start = len(above)
    while start and not (_depth(above[start - 1]) < depth and _OPENER.match(above[start - 1])):
        start -= 1
        if above[start].strip() and not _depth(above[start]) and not depth:
            break
    start = max(0, start - 1) if depth else start
    opener = _depth(above[start]) if depth and start < len(above) else 0
    end = next((i for i, line in enumerate(below) if line.strip() and _depth(line) <= opener), len(below))
    return Around("\n".join(above[start:]), "\n".join(below[:end]))


def parses(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            ast.parse(textwrap.dedent(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _depth(line: str) -> int:
    line = line.expandtabs()
    return len(line) - len(line.lstrip())
