"""Text to token ids and back: InCoder's line-mode byte-level BPE (paper section 3.3).

Merges never cross a line end but do run across spaces and punctuation, so `import numpy as np` can be one token. User text
never becomes a special id: `<|mask:0|>` typed by a person is six or so ordinary tokens. Ids, as in the released models:
0 `<s>`, 1 `<pad>`, 2 `<|endoftext|>` (stands first in every sequence), 3 `<unk>`, 4-6 the metadata delimiters `<|`, `<|/`
and `|>` (ordinary tokens), 7-262 the bytes, then the merges, the sentinels, and `<|endofmask|>` last.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from incoder_model.causal_mask import END_OF_MASK, MAX_SENTINELS, Sentinels, sentinel_name
from incoder_model.healing import Healer

CONTROL = ("<s>", "<pad>", "<|endoftext|>", "<unk>")  # ids 0-3
PAD, BOS = 1, 2
DELIMITERS = ("<|", "<|/", "|>")  # ids 4-6
DELIMITER_MERGES = (("<", "|"), ("<|", "/"), ("|", ">"))
SIDES = 16  # texts whose tokens are remembered
LINE_ENDS = tokenizers.Regex(r"[\r\n]+")
REMEMBERED = 1000  # pieces of text whose tokens the library keeps


class TokenizerError(ValueError):
    """A tokenizer file that cannot be used; the message is one sentence for the user."""


class Tokenizer:
    """An InCoder tokenizer, read from the `tokenizer.json` that Hugging Face's libraries read as well."""

    def __init__(self, inner: tokenizers.Tokenizer):
        inner.encode_special_tokens = True  # specials found in user text are text
        self._inner = inner
        self.vocab_size: int = inner.get_vocab_size()
        ids = inner.get_vocab()
        count = sum(sentinel_name(k) in ids for k in range(MAX_SENTINELS))
        expected = {name: i for i, name in enumerate(CONTROL)}
        expected |= {sentinel_name(k): self.vocab_size - 1 - count + k for k in range(count)}
        expected[END_OF_MASK] = self.vocab_size - 1
        if count == 0 or any(ids.get(name) != i for name, i in expected.items()):
            raise TokenizerError(
                "the tokenizer has not InCoder's special tokens at InCoder's places; train it with `incoder`"
            )
        inner.model._resize_cache(REMEMBERED)  # by default ten times as many, of two kilobytes each, which is no faster
        self.sentinels = Sentinels(first=self.vocab_size - 1 - count, count=count, end=self.vocab_size - 1)
        self._special = frozenset(expected.values())
        self.encode_side = lru_cache(SIDES)(lambda text: tuple(self.encode(text)))
        """`encode` for the long texts around a hole, which stay the same while a person types."""

    @staticmethod
    def from_json(text: str) -> Tokenizer:
        """Raises TokenizerError when `text` is not such a tokenizer."""
        try:
            inner = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the Rust side raises bare Exception
            raise TokenizerError(f"the tokenizer file cannot be read ({error})") from None
        return Tokenizer(inner)

    def to_json(self) -> str:
        return self._inner.to_str(pretty=False)

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, none of them special. A lone surrogate, which no file can hold, is read as `?`."""
        return self._inner.encode(_storable(text), add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        encoded = self._inner.encode_batch_fast([_storable(text) for text in texts], add_special_tokens=False)
        return [one.ids for one in encoded]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of `tokens`; special ids have none. A character whose last bytes are missing is left out."""
        return decode_utf8(self.decode_bytes(tokens))

    def decode_bytes(self, tokens: Iterable[int]) -> bytes:
        table = self.token_bytes
        return b"".join(table[token] for token in tokens)

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes of every token, by id; empty for the special ones."""
        names = sorted(self._inner.get_vocab().items(), key=lambda item: item[1])
        return [b"" if i in self._special else bytes(_BYTE_OF[char] for char in name) for name, i in names]

    @cached_property
    def newlines(self) -> frozenset[int]:
        """The tokens that hold a line end. They hold nothing else, so to stop at one is to stop exactly at the line's end."""
        return frozenset(i for i, text in enumerate(self.token_bytes) if b"\n" in text or b"\r" in text)

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end a span: all special ones, `<|endofmask|>` among them, and what opens or closes a file's metadata."""
        delimiters = (self.encode(text) for text in ("<|", "<|/"))
        return frozenset([*self._special, *(ids[0] for ids in delimiters if len(ids) == 1)])

    @cached_property
    def line_ends(self) -> frozenset[int]:
        """The tokens that end a span which is one line."""
        return self.ends | self.newlines

    @cached_property
    def healer(self) -> Healer:
        return Healer(self.token_bytes)


def decode_utf8(text: bytes) -> str:
    return codecs.getincrementaldecoder("utf-8")("replace").decode(text)


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_BYTES = [*_PRINTABLE, *(byte for byte in range(256) if byte not in _PRINTABLE)]


def byte_symbols() -> list[str]:
    """The 256 symbols that stand for bytes in a byte-level BPE file, in vocabulary order: printable bytes stand for themselves."""
    return [chr(byte) for byte in _PRINTABLE] + [chr(256 + i) for i in range(256 - len(_PRINTABLE))]


_BYTE_OF = dict(zip(byte_symbols(), _BYTES, strict=True))


def line_mode(model: models.BPE) -> tokenizers.Tokenizer:
    """A tokenizer around `model` that splits text at line ends and nowhere else."""
    inner = tokenizers.Tokenizer(model)
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(LINE_ENDS, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    return inner


def assemble(learned: Sequence[str], merges: Sequence[tuple[str, str]], sentinels: int = MAX_SENTINELS) -> Tokenizer:
    """The tokenizer of the `learned` tokens (those after the bytes, in order) and their `merges`, with InCoder's id layout."""
    names = [*CONTROL, *DELIMITERS, *byte_symbols(), *learned]
    first = set(DELIMITER_MERGES)
    inner = line_mode(
        models.BPE(
            {name: i for i, name in enumerate(names)}, [*DELIMITER_MERGES, *(m for m in merges if m not in first)]
        )
    )
    special = [*CONTROL, *(sentinel_name(k) for k in range(sentinels)), END_OF_MASK]
    inner.add_special_tokens([tokenizers.AddedToken(name, special=True, normalized=False) for name in special])
    return Tokenizer(inner)


def assemble_released(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """The released models' 50,518 ids from the files they were trained with: there the delimiters and bytes come first, from 0."""
    ordered = sorted(vocabulary, key=lambda name: vocabulary[name])
    if tuple(ordered[:3]) != DELIMITERS or ordered[3:259] != byte_symbols():
        raise TokenizerError("the vocabulary does not start with InCoder's delimiters and the 256 byte symbols")
    return assemble(ordered[259:], merges)


def read_merges(text: str) -> list[tuple[str, str]]:
    """The pairs of a `merges.txt`, whose first line may name a version."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#version")]
    pairs = [tuple(line.split(" ")) for line in lines]
    return [(a, b) for a, b in pairs]


def load_tokenizer(path: Path) -> Tokenizer:
    """Raises TokenizerError, naming the file, when it is missing or is no InCoder tokenizer."""
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except FileNotFoundError:
        raise TokenizerError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise TokenizerError(f"{path} cannot be read: {error}") from None
    try:
        return Tokenizer.from_json(text)
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from None
