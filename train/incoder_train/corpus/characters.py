"""What a text is made of, fast: the lengths of its lines, its size in bytes, its characters by class. The classes are those
of Python's regular expressions. Bytes are counted in one pass; only what lies beyond ASCII is looked at one by one."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

ASCII = bytes(range(128))


def _class_of(character: str) -> tuple[bool, bool, bool, bool]:
    """Is it a letter, a digit, an underscore, a space?"""
    digit = character.isdecimal()
    return character.isalnum() and not digit, digit, character == "_", character.isspace()


BYTE_CLASSES = np.zeros((256, 4), np.int64)
BYTE_CLASSES[:128] = [_class_of(chr(byte)) for byte in ASCII]


@dataclass(frozen=True)
class Classes:
    r"""How many characters are letters `[^\W\d_]`, digits `\d`, underscores, and spaces `\s`; and how many there are."""

    letters: int
    digits: int
    underscores: int
    spaces: int
    all: int

    @property
    def words(self) -> int:
        r"""`\w`"""
        return self.letters + self.digits + self.underscores

    @property
    def visible(self) -> int:
        r"""`\S`"""
        return self.all - self.spaces


@lru_cache(maxsize=1)  # several rules ask about the same text, one after the other
def classes(text: str) -> Classes:
    encoded = text.encode(errors="surrogatepass")
    counts = np.bincount(np.frombuffer(encoded, np.uint8), minlength=256) @ BYTE_CLASSES
    if not text.isascii():
        beyond = encoded.translate(None, ASCII).decode(errors="surrogatepass")
        for character, count in Counter(beyond).items():
            counts += np.multiply(_class_of(character), count)
    letters, digits, underscores, spaces = counts.tolist()
    return Classes(letters, digits, underscores, spaces, len(text))


def size(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def has_line_over(limit: int, text: str) -> bool:
    """Is there a line with more than `limit` characters? Looks at every limit-th place or so, not at every character."""
    start = 0
    while start + limit < len(text):
        newline = text.rfind("\n", start, start + limit + 1)
        if newline < 0:
            return True
        start = newline + 1
    return False


def mean_line(text: str) -> float:
    """Characters in a line, newlines not counted; what follows the last newline is a line, too."""
    newlines = text.count("\n")
    return (len(text) - newlines) / (newlines + 1)


def is_utf8(text: str) -> bool:
    """Was the text UTF-8, and is it still? Bytes that were not have become U+FFFD, or lone surrogates in JSON."""
    try:
        return text.isascii() or ("\ufffd" not in text and bool(text.encode()))
    except UnicodeEncodeError:
        return False
