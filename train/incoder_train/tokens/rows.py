"""What stands in a row of a batch: the blocks go in, rows of blocks come out, by one of two choices.

    blocks    one block in each row, as InCoder trained; rows of a batch are of like length, and padding is what is left
    packed    rows are filled up to `context` with several blocks, each masked, read and learned as if it stood alone

A packing depends on the seed and nothing else, so an epoch has the same rows as the one before, in another order. Blocks of
a row never see each other: to pack them anew in every epoch would teach nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from incoder_train.tokens.blocks import SHORTEST, Blocks
from incoder_train.tokens.order import rng_for

SPAN_COST = 3  # tokens that a span adds to a block: two sentinels and <|endofmask|>
WINDOW = 256  # blocks among which packing looks for those that fit together
STREAM = 2  # of random numbers


@dataclass(frozen=True)
class Rows:
    """Row r holds the blocks from first[r] up to first[r + 1]."""

    blocks: Blocks  # those of a row are neighbours
    first: np.ndarray | range  # (rows + 1,)
    sizes: np.ndarray  # (rows,) tokens that a row takes up, about: masking adds and cuts some

    def __len__(self) -> int:
        return len(self.first) - 1


def single(blocks: Blocks) -> Rows:
    return Rows(blocks, range(len(blocks) + 1), blocks.lengths)


def packed(blocks: Blocks, context: int, seed: int) -> Rows:
    """Rows of at most `context` tokens, room for one span in each block included."""
    rooms = room(blocks.lengths, context)
    full = rooms > context - room(SHORTEST, context)  # nothing fits beside these
    order = rng_for(seed, 0, STREAM).permutation(np.flatnonzero(~full))
    row = np.empty(len(blocks), np.int64)
    row[order] = first_fit_decreasing(rooms[order], context, WINDOW)
    row[full] = len(order) + np.arange(full.sum())  # numbers beyond those of the packed ones
    order = np.argsort(row, kind="stable")
    first = np.append(np.flatnonzero(np.diff(row[order], prepend=-1)), len(order))
    return Rows(blocks[order], first, np.diff(np.cumsum(rooms[order])[first[1:] - 1], prepend=0))


def room(length: np.ndarray | int, context: int) -> np.ndarray:
    """What a block of `length` tokens needs in a row: itself and one span, as three of four have (Poisson(1), at least 1)."""
    return np.minimum(np.add(length, SPAN_COST, dtype=np.int32), context)


def first_fit_decreasing(sizes: np.ndarray, capacity: int, window: int) -> np.ndarray:
    """(sizes,) a row number for each, such that no row holds more than `capacity`.

    In every window of `window` neighbours by itself, from the largest to the smallest, each goes to the first row that has
    room for it. All windows advance together, so the cost is `window` vector operations however many sizes there are.
    """
    windows = -(-len(sizes) // window)
    dtype = np.int16 if capacity < 1 << 15 else np.int32
    padded = np.zeros((windows, window), dtype)
    padded.reshape(-1)[: len(sizes)] = sizes
    order = np.argsort(-padded, axis=1, kind="stable")
    row = np.empty((windows, window), np.int64)
    for start in range(0, windows, 1024):  # so many at a time that their free room stays in the processor's cache
        chunk = slice(start, start + 1024)
        each = np.arange(len(padded[chunk]))
        free = np.full((len(each), window), capacity, dtype)
        for which in order[chunk].T:
            size = padded[chunk][each, which]
            target = (free >= size[:, None]).argmax(axis=1)
            free[each, target] -= size
            row[chunk][each, which] = target
    row += np.arange(windows)[:, None] * window
    return row.reshape(-1)[: len(sizes)]
