"""A person at the keyboard, made of a seed: the text of a file comes in, keys and the pauses before them go out.

Lines of the file are cut and typed again, one key after another; indentation comes with the line end, as editors do it. Some
letters are wrong and taken back, some words are taken back and typed once more, and after a few lines the cursor jumps to
another place. Pauses are log-normal. Their medians are those of people who write code, roughly: the Aalto study of 136 million
keystrokes has 238 ms on average for prose; quick typists need half of it, and programmers stop to think.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MEDIAN_SECONDS = {"letter": 0.16, "word": 0.22, "line": 0.6, "back": 0.13, "jump": 2.0}
SPREAD = 0.5  # of the logarithm
WRONG_LETTER, WORD_AGAIN = 0.02, 0.02
MOST_LINES = 4  # typed between two jumps


@dataclass(frozen=True)
class Key:
    """`text` takes the place of text[start:end] of the document; the cursor is behind it. All offsets in characters."""

    kind: str  # a key of MEDIAN_SECONDS
    pause: float  # seconds since the key before
    start: int
    end: int
    text: str
    before: str  # the document

    @property
    def after(self) -> str:
        return self.before[: self.start] + self.text + self.before[self.end :]

    @property
    def cursor(self) -> int:
        return self.start + len(self.text)


def keys(text: str, rng: np.random.Generator) -> Iterator[Key]:
    """Without end. `text` has ASCII only, so that characters are code units."""
    document = text

    def key(kind: str, start: int, end: int, typed: str) -> Key:
        nonlocal document
        pause = MEDIAN_SECONDS[kind] * float(np.exp(SPREAD * rng.standard_normal()))
        pressed = Key(kind, pause, start, end, typed, document)
        document = pressed.after
        return pressed

    while True:
        cursor, wanted = some_lines(document, rng)
        yield key("jump", cursor, cursor + len(wanted), "")
        for piece in pieces(wanted):
            kind = "line" if "\n" in piece else "word" if document[cursor - 1 : cursor] in " ([{.,\n" else "letter"
            if piece.isalpha() and rng.random() < WRONG_LETTER:
                yield key(kind, cursor, cursor, chr(97 + int(rng.integers(26))))
                yield key("back", cursor, cursor + 1, "")
            yield key(kind, cursor, cursor, piece)
            cursor += len(piece)
            if kind == "word" and rng.random() < WORD_AGAIN:
                yield key("back", cursor - len(piece), cursor, "")
                yield key(kind, cursor - len(piece), cursor - len(piece), piece)


def some_lines(document: str, rng: np.random.Generator) -> tuple[int, str]:
    """Up to MOST_LINES lines, not all blank, of the last three quarters of a document, without the last one's end; and where
    they begin."""
    lines = document.splitlines(keepends=True)
    while True:
        first = int(rng.integers(len(lines) // 4, len(lines)))
        wanted = "".join(lines[first : first + int(rng.integers(1, MOST_LINES + 1))]).rstrip("\n")
        if wanted.strip():
            return sum(map(len, lines[:first])), wanted


def pieces(text: str) -> Iterator[str]:
    """The keys that spell `text`: single characters, and a line end with the indentation after it."""
    at = 0
    while at < len(text):
        end = at + 1
        if text[at] == "\n" or at == 0:
            while end < len(text) and text[end] in " \t" and text[at:end].isspace():
                end += 1
        yield text[at:end]
        at = end
