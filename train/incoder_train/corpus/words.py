r"""The words of a text, fast. A text goes in; the words that `\w+` finds come out as one line of UTF-8, a space between
two of them: what copies and near-copies are compared by, whatever stood between the words."""

import re
import string

import numpy as np

SPACE = ord(" ")
WORD_BYTES = (string.ascii_letters + string.digits + "_").encode() + bytes(range(0x80, 0x100))
WORDS_AND_SPACES = bytes(byte if byte in WORD_BYTES else SPACE for byte in range(256))
FOREIGN_GAP = re.compile(r"[^\w\x00-\x7f]+")  # what beyond ASCII is no part of a word


def joined_words(text: str) -> bytes:
    r"""Equals `" ".join(re.findall(r"\w+", text)).encode()`, several times as fast."""
    if not text.isascii():
        text = FOREIGN_GAP.sub(" ", text)
    codes = np.frombuffer(text.encode().translate(WORDS_AND_SPACES), np.uint8)
    kept = codes != SPACE
    kept[1:] |= kept[:-1]  # a space stays if it follows a word
    return (codes * kept).tobytes().translate(None, b"\0").removesuffix(b" ")
