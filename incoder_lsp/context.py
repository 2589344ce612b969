"""From a cursor to a question for the model: the text of a document and an offset in, a Situation out.

The prompt is anchored at the start of the cursor's line: what stands before it is `left`, what the user has typed of the line
is forced onto the model's answer. While a line is typed, left and right stay the same, and with them the engine's cache.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from incoder_lsp.settings import Settings
from incoder_model import metadata
from incoder_model.infill import InfillRequest, typed_part

LEFT_WINDOW, RIGHT_WINDOW = 16_000, 8_000  # characters; infilling then cuts to what the model's context holds
ONE_LINE_TOKENS = 32

BLOCK_STARTS = (":", "{", "(", "[", "=>")  # a line that ends so is followed by an indented one

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Situation:
    """Where the cursor stands. All texts have `\\n` line ends, whatever the file has."""

    left: str  # everything before the cursor
    right: str  # everything after it
    line_left: str  # this line's part of it
    line_right: str
    path: str
    request: InfillRequest


def situation_at(text: str, offset: int, path: str, *, invoked: bool, settings: Settings) -> Situation | None:
    """None where nobody would want a suggestion. `invoked`: the user asked for one, so there always is one."""
    left = _LINE_END.sub("\n", text[max(0, offset - LEFT_WINDOW) : offset])
    right = _LINE_END.sub("\n", text[offset : offset + RIGHT_WINDOW])
    line_left = left[left.rfind("\n") + 1 :]
    line_right = right.split("\n", 1)[0]
    if not invoked and _inside_word(line_left, line_right):
        return None
    one_line = settings.multi_line == "never" or bool(line_right.strip()) or not (invoked or _starts_block(left, right))
    anchor = len(left) - len(typed_part(line_left))
    request = InfillRequest(
        left=left[:anchor],
        right=right,
        header=metadata.header(metadata.file_attributes(path)),
        typed=left[anchor:],
        one_line=one_line,
        max_tokens=min(settings.max_tokens, ONE_LINE_TOKENS) if one_line else settings.max_tokens,
    )
    return Situation(left, right, line_left, line_right, path, request)


def _inside_word(line_left: str, line_right: str) -> bool:
    """The word goes on to the right of the cursor: a suggestion would be read as an edit of it."""
    return _is_word(line_right[:1]) and _is_word(line_left[-1:])


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _starts_block(left: str, right: str) -> bool:
    """The cursor is on an empty line after one that opens a block, and the block has no body yet."""
    lines = left.split("\n")
    if lines[-1].strip():
        return False
    opener = next((line for line in reversed(lines[:-1]) if line.strip()), "")
    if not opener.rstrip().endswith(BLOCK_STARTS):
        return False
    below = next((line for line in right.split("\n")[1:] if line.strip()), "")
    return _indent(below) <= _indent(opener)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
