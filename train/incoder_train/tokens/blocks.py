"""Where documents are cut: the offsets of documents go in, the table of blocks comes out. No block crosses a document."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHORTEST = 16  # tokens; a shorter rest of a document teaches nothing
CHUNK = 1 << 20  # documents cut at a time, so that the steps between take little memory


@dataclass(frozen=True)
class Blocks:
    """Ten bytes a block (twelve where the context is beyond 65,535): a hundred million blocks take 1 GB."""

    starts: np.ndarray  # (blocks,) int64: where each begins in the shard
    lengths: np.ndarray  # (blocks,) uint16 or uint32: tokens, at most `context`

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, which: np.ndarray) -> Blocks:
        return Blocks(self.starts[which], self.lengths[which])


def cut_blocks(offsets: np.ndarray, context: int) -> Blocks:
    """Every block of every document, in order: pieces of `context` tokens, and the rest if it has at least SHORTEST.

    offsets: (documents + 1,) int64, where each document starts and the last one ends.
    """
    parts = [_cut(np.asarray(offsets[i : i + CHUNK + 1]), context) for i in range(0, max(1, len(offsets) - 1), CHUNK)]
    return Blocks(np.concatenate([part.starts for part in parts]), np.concatenate([part.lengths for part in parts]))


def _cut(offsets: np.ndarray, context: int) -> Blocks:
    sizes = np.diff(offsets)
    counts = sizes // context * (context >= SHORTEST) + (sizes % context >= SHORTEST)  # of blocks in each document
    which = np.repeat(np.arange(len(sizes)), counts)  # (blocks,) the document of each
    place = np.arange(len(which)) - (np.cumsum(counts) - counts)[which]  # (blocks,) its place in there
    starts = offsets[:-1][which] + place * context
    lengths = np.minimum(offsets[1:][which] - starts, context)
    return Blocks(starts.astype(np.int64), lengths.astype(np.uint16 if context < 1 << 16 else np.uint32))
