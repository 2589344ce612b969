"""Our own mirror of an open file: the client's edits come in, its text and the place of a position come out.

LSP ends a line at \\n, \\r\\n and \\r and nowhere else (form feed, U+2028 and the like are characters), and counts columns in
code units of the negotiated encoding. Inside the server a place is an offset in code points, as Python's strings have it.
The text is kept as a list of lines, so a keystroke costs the lines it touches; the joined text and the line offsets are
made when they are asked for and kept until an edit reaches them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import zip_longest
from typing import Literal
from urllib.parse import unquote

Encoding = Literal["utf-8", "utf-16", "utf-32"]

_CODEC: dict[Encoding, tuple[str, int]] = {  # codec, bytes in a code unit
    "utf-8": ("utf-8", 1),
    "utf-16": ("utf-16-le", 2),
    "utf-32": ("utf-32-le", 4),
}
_LINE_END = re.compile(r"(\r\n|\r|\n)")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def split_lines(text: str) -> list[str]:
    """The lines with their ends. The last one has no end and may be empty: a text of n line ends has n + 1 lines."""
    pieces = _LINE_END.split(text)
    return [line + end for line, end in zip_longest(pieces[::2], pieces[1::2], fillvalue="")]


def code_points(line: str, units: int, encoding: Encoding) -> int:
    """How many code points the first `units` code units of `line` hold; one that is cut in the middle does not count."""
    if line.isascii():
        return min(units, len(line))
    codec, size = _CODEC[encoding]
    return len(line.encode(codec)[: units * size].decode(codec, "ignore"))


def code_units(text: str, encoding: Encoding) -> int:
    """The length of `text` as the client counts it."""
    codec, size = _CODEC[encoding]
    return len(text) if text.isascii() else len(text.encode(codec)) // size


def path_of(uri: str) -> str:
    return unquote(uri.partition(":")[2].removeprefix("//"))


class Document:
    """One open file. A position is (line, code units), both 0-based; what lies outside the text is moved to its nearest end.

    `language`: the editor's name for it, such as "python"."""

    def __init__(self, text: str, version: int = 0, encoding: Encoding = "utf-16", language: str = ""):
        self.version = version
        self.language = language
        self.encoding: Encoding = encoding
        self.replace(text)

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = "".join(self._lines)
        return self._text

    @property
    def eol(self) -> str:
        """The line end this file uses, judged by its first line."""
        first = self._lines[0]
        return first[len(_content(first)) :] or "\n"

    def lines(self, first: int, end: int) -> str:
        """The text of the lines from `first` to before `end`."""
        return "".join(self._lines[max(0, first) : max(0, end)])

    def replace(self, text: str) -> None:
        """The client sent the whole text."""
        self._lines = split_lines(_valid(text))
        self._starts = [0]  # offsets of the first len(_starts) lines; the rest is counted when it is needed
        self._text: str | None = None

    def edit(self, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        """The client replaced what lies between two positions."""
        first, left = self._locate(*start)
        last, right = max(self._locate(*end), (first, left))
        if left == 0 and first > 0 and self._lines[first - 1].endswith("\r"):
            first, left = first - 1, len(self._lines[first - 1])  # this \r and a \n that comes now are one line end
        joined = self._lines[first][:left] + _valid(text) + self._lines[last][right:]
        lines = split_lines(joined)
        if last + 1 < len(self._lines):
            lines.pop()  # empty: the last line's end is still there, and what follows it is already a line
        self._lines[first : last + 1] = lines
        del self._starts[first + 1 :]
        self._text = None

    def offset_at(self, line: int, character: int) -> int:
        """The offset of a position, in code points from the start of the text."""
        line, index = self._locate(line, character)
        while len(self._starts) <= line:
            self._starts.append(self._starts[-1] + len(self._lines[len(self._starts) - 1]))
        return self._starts[line] + index

    def position_at(self, offset: int) -> tuple[int, int]:
        """The position of an offset. An offset between \\r and \\n counts as before both."""
        while self._starts[-1] <= offset and len(self._starts) < len(self._lines):
            self._starts.append(self._starts[-1] + len(self._lines[len(self._starts) - 1]))
        line = bisect_right(self._starts, offset) - 1
        content = _content(self._lines[line])
        return line, code_units(content[: offset - self._starts[line]], self.encoding)

    def _locate(self, line: int, character: int) -> tuple[int, int]:
        """(line, code points into it): past the last line means the end of the text, past a line's end means its end."""
        if line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        return line, code_points(_content(self._lines[line]), character, self.encoding)


def _content(line: str) -> str:
    return line.rstrip("\r\n")


def _valid(text: str) -> str:
    """JSON can carry half of a surrogate pair, which no tokenizer or file can. U+FFFD is as long in every encoding."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)
