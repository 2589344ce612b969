"""Near-copies, which the paper keeps and later work drops: MinHash (Broder 1997) with banding (Leskovec et al., Mining of
Massive Datasets, section 3.4). Texts go in; the numbers of the documents that resemble an earlier one come out.

    text -> band_keys -> (one partition of the keys at a time) links -> (all links) later_members

The shape is that of exact deduplication by key partitions (`copies.py`). Each document leaves records (key, number), one for
each of its keys; the keys are cut into partitions, any way that puts equal keys together, and each partition is read by
itself, so memory holds one; the links of all partitions, in which only documents that resemble another occur, give the
clusters, of which the first document stays:

    keys = band_keys(document.text, rows_for(0.7))            # (16,) uint64, each a record with the document's number
    pairs = links(keys_of_partition, numbers_of_partition)    # (n, 2) uint64
    dropped = later_members(np.concatenate([pairs, ...]))     # sorted numbers, uint64

A number is any uint64 that grows in the order of the documents, such as rank << 40 | index. All results are functions of
the texts, of no machine and no order of work.

With 16 bands of 8 rows, two documents that share the fraction s of their shingles become a pair with the probability
1 - (1 - s^8)^16: 0.06 at s = 0.5, 0.61 at 0.7, 0.95 at 0.8, 0.9999 at 0.9."""

import zlib

import numpy as np

from incoder_train.corpus.words import joined_words

SHINGLE = 5  # words
PERMUTATIONS = 128
ROWS = 8
CHUNK = 1024  # shingles hashed at a time: PERMUTATIONS x CHUNK numbers of 4 bytes fit a core's cache

_random = np.random.Philox(key=2022)  # its raw numbers are the same in every version of numpy
_ODD = np.uint64(1)  # multiplication by an odd number is a permutation of the numbers of a machine word
WORD_FACTORS = _random.random_raw(SHINGLE) | _ODD
FACTORS = (_random.random_raw(PERMUTATIONS) | _ODD).astype(np.uint32)[:, None]
OFFSETS = _random.random_raw(PERMUTATIONS).astype(np.uint32)[:, None]
ROW_FACTORS = _random.random_raw(PERMUTATIONS) | _ODD
BAND_OFFSETS = _random.random_raw(PERMUTATIONS)  # equal rows in different bands are no match


def shingles(text: str) -> np.ndarray:
    """A hash of each run of SHINGLE words, (max(1, words - SHINGLE + 1),) uint32; a shorter text is one shingle."""
    words = np.fromiter(map(zlib.crc32, joined_words(text).split(b" ")), np.uint64)
    words = np.pad(words, (0, max(0, SHINGLE - len(words))))
    count = len(words) - SHINGLE + 1
    hashes = np.zeros(count, np.uint64)
    for place, factor in enumerate(WORD_FACTORS):
        hashes += words[place : place + count] * factor
    return _mixed(hashes).astype(np.uint32)


def signature(text: str) -> np.ndarray:
    """The least hash of the text's shingles under each permutation, (PERMUTATIONS,) uint32. Of two texts, the fraction of
    equal entries estimates the Jaccard similarity of their shingle sets. A permutation is x -> a x + b modulo 2^32."""
    hashes = shingles(text)
    least = np.full(PERMUTATIONS, np.iinfo(np.uint32).max, np.uint32)
    for start in range(0, len(hashes), CHUNK):
        permuted = hashes[start : start + CHUNK] * FACTORS
        permuted += OFFSETS
        np.minimum(least, permuted.min(axis=1), out=least)
    return least


def rows_for(similarity: float) -> int:
    """The rows in a band with which half or so of the pairs of this similarity are found: (1 / bands)^(1 / rows) is next to
    it. Fewer rows find more."""
    return min(range(1, PERMUTATIONS + 1), key=lambda rows: abs((PERMUTATIONS // rows) ** (-1 / rows) - similarity))


def band_keys(text: str, rows: int = ROWS) -> np.ndarray:
    """(PERMUTATIONS // rows,) uint64. Two texts are near-copies if any of their keys are equal."""
    bands = PERMUTATIONS // rows
    used = slice(bands * rows)
    mixed = _mixed(signature(text)[used] * ROW_FACTORS[used]).reshape(bands, rows)
    return _mixed(mixed.sum(axis=1, dtype=np.uint64) + BAND_OFFSETS[:bands])


def links(keys: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """From the records of one partition, in any order, the pairs (first document with a key, later one with the same),
    (n, 2) uint64, sorted, each once."""
    order = np.lexsort((documents, keys))
    keys, documents = keys[order], documents[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    first = np.repeat(documents[starts], np.diff(np.append(starts, len(keys))))
    pairs = np.stack([first, documents], axis=1)
    return np.unique(pairs[first != documents], axis=0)


def later_members(pairs: np.ndarray) -> np.ndarray:
    """Union-find over the links of all partitions, (n, 2) uint64: the members of each cluster but its first, sorted."""
    parents: dict[int, int] = {}

    def root(document: int) -> int:
        while (parent := parents.setdefault(document, document)) != document:
            parents[document] = document = parents[parent]
        return document

    for one, other in pairs.tolist():
        first, later = sorted((root(one), root(other)))
        parents[later] = first
    return np.array(sorted(document for document in parents if root(document) != document), np.uint64)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014): each bit of the result depends on each bit of the number."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
