"""What a vocabulary is like. A tokenizer and held-out documents go in; how well it compresses each language, and what its
tokens look like, comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from incoder_model.tokenizer import Tokenizer

BATCH = 256  # documents tokenised at a time, on all cores
LONGEST = 10


@dataclass(frozen=True)
class Compression:
    documents: int
    bytes: int
    tokens: int

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / self.tokens if self.tokens else 0.0


@dataclass(frozen=True)
class VocabularyReport:
    vocab_size: int
    text_tokens: int  # those that stand for bytes; the rest are special
    spaces: dict[str, float]  # "leading", "trailing", "inner" -> share of the text tokens with a space there
    longest_tokens: tuple[str, ...]  # longest first
    newline_tokens: tuple[int, ...]  # ids of those that hold a line end
    mixed_newline_tokens: tuple[int, ...]  # ids of those that hold a line end and other text: there must be none
    compression: dict[str, Compression]  # language -> what its held-out documents came to
    unused_tokens: tuple[int, ...]  # text tokens that no held-out document needed

    @property
    def overall(self) -> Compression:
        parts = self.compression.values()
        return Compression(*(sum(getattr(part, name) for part in parts) for name in ("documents", "bytes", "tokens")))


def report_vocabulary(tokenizer: Tokenizer, held_out: Iterable[tuple[str, str]]) -> VocabularyReport:
    """`held_out` are pairs of language and text."""
    texts = {token: text for token, text in enumerate(tokenizer.token_bytes) if text}
    used = np.zeros(tokenizer.vocab_size, np.int64)
    counts: dict[str, Counter[str]] = {}
    for batch in _batched(held_out):
        for (language, text), ids in zip(batch, tokenizer.encode_batch([text for _, text in batch]), strict=True):
            np.add.at(used, ids, 1)
            counts.setdefault(language, Counter()).update(documents=1, bytes=len(text.encode()), tokens=len(ids))
    held = {
        "leading": sum(text.startswith(b" ") for text in texts.values()),
        "trailing": sum(text.endswith(b" ") for text in texts.values()),
        "inner": sum(b" " in text[1:-1] for text in texts.values()),
    }
    with_end = sorted(tokenizer.newlines)
    return VocabularyReport(
        vocab_size=tokenizer.vocab_size,
        text_tokens=len(texts),
        spaces={place: round(count / len(texts), 4) for place, count in held.items()},
        longest_tokens=tuple(
            text.decode(errors="replace")
            for text in sorted(texts.values(), key=lambda text: (-len(text), text))[:LONGEST]
        ),
        newline_tokens=tuple(with_end),
        mixed_newline_tokens=tuple(token for token in with_end if set(texts[token]) - set(b"\r\n")),
        compression={language: Compression(**count) for language, count in sorted(counts.items())},
        unused_tokens=tuple(token for token in texts if not used[token]),
    )


def _batched(documents: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    left = iter(documents)
    while batch := list(islice(left, BATCH)):
        yield batch
