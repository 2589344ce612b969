"""Where the tensors of a safetensors file lie: its first bytes go in, the place of each tensor comes out. No weight is read.

An engine that maps the file finds its weights by these places. What was built for them carries their fingerprint, and so can be
told from what was built for others.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, BinaryIO

from incoder_model.config import ModelConfig

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1}  # bytes of a value, by the names of safetensors
LONGEST_HEADER = 100_000_000  # bytes; safetensors' own limit


@dataclass(frozen=True)
class Place:
    """A tensor's values: their type, their shape, and their bytes, counted from the beginning of the file."""

    dtype: str  # a key of SIZES
    shape: tuple[int, ...]
    offset: int
    length: int


def read_layout(file: BinaryIO) -> dict[str, Place]:
    """The tensors by name. Raises OSError, and ValueError for a file that is no safetensors file or holds other types."""
    (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))
    if size > LONGEST_HEADER:
        raise ValueError("it does not begin with the header of a safetensors file")
    try:
        header: dict[str, Any] = json.loads(file.read(size))
        header.pop("__metadata__", None)
        layout = {name: _place(8 + size, **values) for name, values in header.items()}
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"its header does not describe tensors ({error})") from None
    if max((place.offset + place.length for place in layout.values()), default=0) > file.seek(0, os.SEEK_END):
        raise ValueError("it ends before its last tensor does")
    return layout


def _place(start: int, *, dtype: str, shape: list[int], data_offsets: list[int]) -> Place:
    begin, end = data_offsets
    if end - begin != math.prod(shape) * SIZES[dtype]:
        raise ValueError(f"{shape} values of {dtype} do not take {end - begin} bytes")
    return Place(dtype, tuple(shape), start + begin, end - begin)


def fingerprint(config: ModelConfig, layout: Mapping[str, Place]) -> str:
    """The same for two models whose files can be exchanged: the shape of the network, and the place of every tensor."""
    shape = [config.vocab_size, config.d_model, config.layers, config.heads, config.d_ffn, config.context]
    places = [[name, *astuple(place)] for name, place in sorted(layout.items())]
    return hashlib.sha256(json.dumps([shape, places]).encode()).hexdigest()
