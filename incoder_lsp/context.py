"""From a cursor to a question for the model: the text of a document and an offset in, a Situation out.

The prompt is anchored: what stands before the anchor is `left`, what the user has typed since is forced onto the model's
answer. The anchor is the start of a line, and stays there while nothing but what follows it is typed. So left and right stay
the same, and with them the engine's cache.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from incoder_lsp.settings import Settings
from incoder_lsp.when import inside_word
from incoder_model import metadata
from incoder_model.infill import InfillRequest, typed_part

if TYPE_CHECKING:
    from incoder_lsp.surroundings import Choice

LEFT_WINDOW, RIGHT_WINDOW = 16_000, 8_000  # characters; infilling then cuts to what the model's context holds
WINDOW_STEP = 4_000  # the left window begins at a multiple of it, so that typing on does not move it
LONGEST_ANCHORED = 800  # characters typed since the anchor; with more, the anchor comes after
ONE_LINE_TOKENS = 32

# Editors put these behind the cursor of their own accord. Where they are all there is left of a line, the model is not shown
# them: it closes what is open itself, `filters/brackets` sees to it that none is doubled, and the right side stays as it was.
CLOSERS = ")]}\"'`"
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
    invoked: bool = True  # the user asked
    settings: Settings = field(default_factory=Settings)


def situation_at(
    text: str,
    offset: int,
    path: str,
    *,
    invoked: bool,
    settings: Settings,
    anchor: int | None = None,
    choice: Choice | None = None,
) -> Situation | None:
    """None where nobody would want a suggestion. `invoked`: the user asked for one, so there always is one.

    anchor: where the typed part begins; None is what `anchor_at` says. choice: of pieces of other files, if any are wanted.
    """
    window = max(0, offset - LEFT_WINDOW)
    left = _LINE_END.sub("\n", text[_line_start(text, window - window % WINDOW_STEP, offset) : offset])
    right = _LINE_END.sub("\n", text[offset : offset + RIGHT_WINDOW])
    line_left = left[left.rfind("\n") + 1 :]
    line_right = right.split("\n", 1)[0]
    if not invoked and inside_word(line_left, line_right):
        return None
    one_line = settings.multi_line == "never" or bool(line_right.strip()) or not (invoked or _starts_block(left, right))
    typed = typed_part(line_left) if anchor is None else _LINE_END.sub("\n", text[anchor:offset])
    request = InfillRequest(
        left=left[: len(left) - len(typed)],
        right=right[len(line_right) :] if set(line_right) <= set(CLOSERS) else right,
        header=metadata.header(metadata.file_attributes(path)),
        typed=typed,
        one_line=one_line,
        max_tokens=min(settings.max_tokens, ONE_LINE_TOKENS) if one_line else settings.max_tokens,
        left_share=settings.left_share,
        neighbours=choice.neighbours(left, right) if choice else (),
        neighbour_share=settings.neighbour_share,
    )
    return Situation(left, right, line_left, line_right, path, request, invoked, settings)


def anchor_at(text: str, offset: int) -> int:
    """Where the typed part begins in a document that was not seen before: at the start of the cursor's line."""
    line = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    return offset - len(typed_part(text[line:offset]))


def keeps_anchor(anchor: int, before: tuple[str, int], text: str, offset: int) -> bool:
    """Whether a prompt that was made for the text and the offset `before` is still true when all that was typed since its
    anchor is forced: nothing else has changed, neither in front of the anchor nor behind the cursor."""
    earlier, at = before
    return (
        anchor <= offset
        and anchor_at(text, offset) <= anchor + LONGEST_ANCHORED
        and earlier[:anchor] == text[:anchor]
        and _below(earlier, at) == _below(text, offset)
    )


def same_place(origin: int, before: tuple[str, int], text: str, offset: int) -> bool:
    """Whether the cursor is still about where it was at `origin`: nothing behind it has changed since the text and the offset
    `before`, and not much was typed. Where that is so, a prompt's beginning should stay as it is."""
    return abs(offset - origin) <= LONGEST_ANCHORED and _below(*before) == _below(text, offset)


def _line_start(text: str, start: int, end: int) -> int:
    """The first line that begins at `start` or after it, and before `end`; `start` where none does."""
    if start == 0 or text[start - 1] in "\n\r":
        return start
    match = _LINE_END.search(text, start, end)
    return match.end() if match else start


def _below(text: str, offset: int) -> str:
    """What stands behind the cursor, without closers that are all there is left of its line."""
    end = offset
    while text[end : end + 1] in CLOSERS and end < len(text):
        end += 1
    return text[end:] if text[end : end + 1] in ("", "\n", "\r") else text[offset:]


def next_line(text: str, offset: int, eol: str) -> tuple[str, int]:
    """The text and the offset after the cursor's line was ended."""
    end = match.start() if (match := _LINE_END.search(text, offset)) else len(text)
    return text[:end] + eol + text[end:], end + len(eol)


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
