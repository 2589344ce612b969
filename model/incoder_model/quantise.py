"""Weights in eight bits: a matrix goes in, whole numbers from -127 to 127 come out, and one scale for each of its rows.

A row is an output channel of the layer; of the embedding, which is the output head as well, it is a token. Zero is 0, so an
engine may multiply the whole numbers as they are and scale the sums. Scales come from the largest weight of a row: a search for
the scale of the least squared error was no better for the network's logits (docs/experiments.md).

A scale has 17 significant bits. With the 7 of a whole number their product fits into float32 exactly, so every engine sees the
same weights, and to quantise those again changes nothing.
"""

from __future__ import annotations

import numpy as np

LARGEST = 127  # -128 is not used: the negative of every number is one, too
SCALE_BITS = 17
SMALLEST = -149  # the exponent of float32's smallest number
SCALE = ".scale"  # in a file, the scales of NAME are NAME.scale


def quantise(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) floats to (rows, columns) int8 and (rows,) float32 scales, none of them 0.

    `dequantise` gives every weight back to within half of its row's scale. Raises ValueError for a weight that is no finite number.
    """
    if not np.isfinite(matrix).all():
        raise ValueError("a weight is not a finite number")
    largest = np.abs(matrix).max(axis=1, initial=0).astype(np.float64)
    scales = _coarse(np.where(largest > 0, largest, LARGEST) / LARGEST)
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def dequantise(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The inverse of `quantise`: (rows, columns) whole numbers and (rows,) scales to (rows, columns) float32."""
    return values.astype(np.float32) * scales.astype(np.float32)[:, None]


def _coarse(scales: np.ndarray) -> np.ndarray:
    """Rounded up, so that the largest weight stays within range, to SCALE_BITS significant bits or float32's last one."""
    steps = np.ldexp(1.0, np.maximum(np.frexp(scales)[1] - SCALE_BITS, SMALLEST))
    return np.ceil(scales / steps) * steps
