"""InCoder's tokenizer as llama.cpp has one: a Tokenizer goes in, the texts, kinds and merges of a GGUF file's vocabulary come out.

InCoder's tokens span words, so none of llama.cpp's pre-tokenizers for GPT-2's symbols will do: all of them cut text at spaces,
digits or punctuation. `sarvam-moe` cuts it at line feeds and nowhere else, as InCoder does, but merges characters where InCoder
merges bytes. So the texts here are plain UTF-8, with a block (U+2581) for a space as that pre-tokenizer writes it:

- Text in ASCII becomes the same tokens (a line end of Windows becomes two where InCoder may have one for both).
- Another character becomes the same token when it is a token; else it becomes its bytes, of which InCoder may join a few.
- Every token is written out as the same bytes, so what a model says is never damaged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gguf import TokenType

from incoder_model.tokenizer import Tokenizer

PRE = "sarvam-moe"
SPACE = "▁".encode()  # U+2581
BYTES = frozenset(
    bytes([byte]) for byte in (0, *range(0x80, 0x100))
)  # that are no text: of these tokens the text is a number
UNK, OPENS, CLOSES = 3, 4, 5  # <unk>; `<|` and `<|/`, which open and close a file's metadata
NOTE = (
    "ASCII text gets InCoder's own tokens, except that a carriage return and a line feed are never one token; of other characters, "
    "those that are no token become bytes, of which InCoder may join a few (with the bundled model's tokenizer: in none of 43,000 "
    "lines of Python's library, in 8 of 1,000 lines of JavaScript)"
)


@dataclass(frozen=True)
class Vocabulary:
    """By id: texts and kinds. `merges` are pairs of texts, the most urgent first, a space between the two."""

    texts: Sequence[bytes]
    kinds: Sequence[TokenType]
    merges: Sequence[bytes]


def vocabulary_of(tokenizer: Tokenizer) -> Vocabulary:
    spelled = tokenizer.token_bytes
    inner = json.loads(tokenizer.to_json())
    ids: dict[str, int] = inner["model"]["vocab"]
    names = {token["id"]: token["content"].encode() for token in inner["added_tokens"]}
    names |= {i: name.encode() for name, i in ids.items() if not spelled[i]}  # a special one that is listed there only
    kinds = [_kind(i, text) for i, text in enumerate(spelled)]
    texts = [_text(text) if text else names[i] for i, text in enumerate(spelled)]
    tokens = frozenset(spelled)
    pairs = ((spelled[ids[left]], spelled[ids[right]]) for left, right in inner["model"]["merges"])
    merges = {_text(a) + b" " + _text(b): None for pair in pairs for a, b in _between_characters(*pair, tokens)}
    return Vocabulary(texts, kinds, list(merges))  # each once, in order


def _kind(token: int, text: bytes) -> TokenType:
    """What llama.cpp does with a token: CONTROL is not written out."""
    if token == UNK:
        return TokenType.UNKNOWN
    if not text or token in (OPENS, CLOSES):
        return TokenType.CONTROL
    return TokenType.BYTE if text in BYTES else TokenType.NORMAL


def _text(text: bytes) -> bytes:
    """What a token is called in the file; no two are called the same. A token with a block in it would be mistaken for spaces,
    and one with a zero ends there: it is called by its bytes in numbers, and written out so should a model ever say it."""
    if text in BYTES:
        return b"<0x%02X>" % text[0]
    if SPACE in text or b"\0" in text:
        return b"<bytes:%s>" % text.hex().encode()
    return text.replace(b" ", SPACE)


def _between_characters(left: bytes, right: bytes, tokens: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """A merge of bytes as merges of whole characters: itself; none when it makes no more than one character; and when its border
    lies within a character, those that make the same token of two others at any border between characters."""
    if _is_text(left) and _is_text(right):
        return [(left, right)]
    whole = left + right
    if not _is_text(whole):
        return []
    borders = [i for i in range(len(whole) + 1) if i == len(whole) or whole[i] & 0xC0 != 0x80]
    pairs = [(whole[:i], whole[i:]) for _, i in pairwise(borders) if i < len(whole)]
    return [pair for pair in pairs if tokens.issuperset(pair)]


def _is_text(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
