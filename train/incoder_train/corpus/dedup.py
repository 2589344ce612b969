"""Drops exact copies. Two files are the same if they have the same extension and the same sequence of words, whatever
stands between the words (paper, section 3); of equal files the first stays.

`drop_copies` says it in four lines. The pipeline does the same with the memory of one partition: each task leaves the
keys of its documents sorted (`key_table`); for each part of the key space `find_copies` merges the parts of all tasks
and says which documents are copies of which; each task drops its own (`drop_found`)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from incoder_train.corpus.document import Document, Verdict
from incoder_train.corpus.words import joined_words

COPY = "copy of an earlier file"

# 128 bits of a document's key, and its number among the documents of its task.
KEYS = np.dtype([("high", "<u8"), ("low", "<u8"), ("ordinal", "<u4")])
# A document with equals: of which task, its number there; where the first of them is; how many copies a first one has.
EQUALS = np.dtype([("rank", "<u4"), ("ordinal", "<u4"), ("first_rank", "<u4"), ("copies", "<u4")])


def dedup_key(document: Document) -> tuple[str, bytes, int]:
    r"""(extension, MD5 of the words joined by spaces, number of words); words are what `\W+` separates."""
    words = joined_words(document.text)
    count = words.count(b" ") + bool(words)
    return document.ext, hashlib.md5(words, usedforsecurity=False).digest(), count


def drop_copies(documents: Iterable[Document]) -> Iterator[Verdict]:
    seen = set()
    for document in documents:
        key = dedup_key(document)
        yield document, COPY if key in seen else None
        seen.add(key)


def key_table(keys: Iterable[object]) -> np.ndarray:
    """(documents,) KEYS, sorted by key and then by ordinal."""
    digests = [hashlib.blake2b(repr(key).encode(), digest_size=16).digest() for key in keys]
    table = np.empty(len(digests), KEYS)
    halves = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)
    table["high"], table["low"], table["ordinal"] = halves[:, 0], halves[:, 1], np.arange(len(digests))
    return table[np.lexsort((table["ordinal"], table["low"], table["high"]))]


def find_copies(tables: Sequence[np.ndarray], part: int, parts: int) -> np.ndarray:
    """Of the keys in `part` (0 to parts - 1) of the key space: (n,) EQUALS, sorted by rank and ordinal, of the documents
    that have equals. `tables` are the KEYS of every task, by rank; only what lies in the part is read."""
    slices = [part_of(table, part, parts) for table in tables]
    keys = np.concatenate([*slices, np.empty(0, KEYS)])
    ranks = np.repeat(np.arange(len(slices), dtype=np.uint32), [len(s) for s in slices])
    order = np.lexsort((keys["ordinal"], ranks, keys["low"], keys["high"]))
    keys, ranks = keys[order], ranks[order]
    changes = (keys["high"][1:] != keys["high"][:-1]) | (keys["low"][1:] != keys["low"][:-1])
    starts = np.concatenate([np.zeros(min(len(keys), 1), np.int64), np.flatnonzero(changes) + 1])
    sizes = np.diff(starts, append=len(keys))
    equals = np.empty(len(keys), EQUALS)
    equals["rank"], equals["ordinal"], equals["first_rank"] = ranks, keys["ordinal"], np.repeat(ranks[starts], sizes)
    equals["copies"] = 0
    equals["copies"][starts] = sizes - 1
    equals = equals[np.repeat(sizes > 1, sizes)]
    return equals[np.lexsort((equals["ordinal"], equals["rank"]))]


def of_rank(equals: np.ndarray, rank: int) -> np.ndarray:
    """The rows of `equals`, which is sorted by rank, that speak of one task's documents."""
    return equals[np.searchsorted(equals["rank"], rank) : np.searchsorted(equals["rank"], rank, side="right")]


def drop_found(documents: Iterable[Document], dropped: Mapping[int, str]) -> Iterator[Verdict]:
    """Drops what `dropped` has a reason for, by number."""
    for ordinal, document in enumerate(documents):
        yield document, dropped.get(ordinal)


def part_of(table: np.ndarray, part: int, parts: int) -> np.ndarray:
    """The rows whose keys lie in one part of the key space; the table is sorted by `high`, and only they are read."""
    first, last = (-(-(edge << 64) // parts) for edge in (part, part + 1))  # `last` is outside
    start = np.searchsorted(table["high"], np.uint64(first))
    stop = len(table) if last >> 64 else np.searchsorted(table["high"], np.uint64(last))
    return table[start:stop]
