"""In which order rows come: their sizes, a seed and an epoch go in, the order of that epoch comes out.

Each epoch shuffles the rows, gathers those of like size into batches, and shuffles the batches. An epoch is as many whole
batches as there are: the few rows that are left over, others in every epoch, wait for the next one.
"""

from __future__ import annotations

import numpy as np

WINDOW = 64  # batches among which rows of like size are gathered

Rng = np.random.Generator


def rng_for(seed: int, index: int, stream: int = 0) -> Rng:
    """Random numbers that depend on these three numbers and nothing else."""
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, 0, index]))


def epoch_order(sizes: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """(batches * batch_size,) the rows of one epoch, int32 where that is enough: a hundred million rows take 0.4 GB, and
    three times that for the moments in which the order is made.

    Within a batch, rows go from the smallest to the largest.
    """
    rng = rng_for(seed, epoch, stream=1)
    batches = len(sizes) // batch_size
    order = np.arange(len(sizes), dtype=np.int32 if len(sizes) < 1 << 31 else np.int64)
    rng.shuffle(order)
    order = order[: batches * batch_size]
    whole = batches // WINDOW * WINDOW * batch_size
    for part, window in ((order[:whole], WINDOW * batch_size), (order[whole:], len(order) - whole)):
        if len(part):
            table = part.reshape(-1, window)
            table[:] = np.take_along_axis(table, np.argsort(sizes[table], axis=1, kind="stable"), axis=1)
    return order.reshape(batches, batch_size)[rng.permutation(batches)].reshape(-1)
