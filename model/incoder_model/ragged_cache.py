"""Keys and values of many texts at once, each as long as it is: what `batch` keeps of the texts that it goes on with.

A row's tokens lie at their own places, from 0, so a text is read alone, padded behind, by the plain cache, and its row then
copied here. A row that leaves costs one copy: the last one takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from incoder_model.config import ModelConfig
from incoder_model.transformer import KVCache


class RaggedCache:
    """Room for `rows` texts of up to `capacity` tokens, of which the first len(cache) are in use. See `transformer.Cache`.

    keys, values: (layers, rows, heads, capacity, head_dim). Every row goes on by one token at a time.
    """

    def __init__(
        self, config: ModelConfig, rows: int, capacity: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ):
        shape = (config.layers, rows, config.heads, capacity, config.head_dim)
        self.rows = rows
        self.keys = torch.zeros(shape, dtype=dtype, device=device)  # zeros: what lies behind a row must be a number
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.lengths: list[int] = []
        self._places = torch.empty(0, dtype=torch.int64, device=device)  # (rows in use,): where the next tokens go

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def length(self) -> int:
        return max(self.lengths)

    def append(self, read: KVCache, which: Sequence[int], lengths: Sequence[int]) -> None:
        """Copies of the rows `which` of `read`, of each its first `lengths` tokens."""
        new, longest = slice(len(self), len(self) + len(which)), max(lengths)
        index = torch.tensor(which, device=self.keys.device)
        self.keys[:, new, :, :longest] = read.keys[:, index, :, :longest]
        self.values[:, new, :, :longest] = read.values[:, index, :, :longest]
        self.lengths += lengths

    def drop(self, row: int) -> None:
        """Forget a row; the last one gets its number."""
        length = self.lengths.pop()
        if row < len(self):
            self.lengths[row] = length
            self.keys[:, row, :, :length] = self.keys[:, len(self), :, :length]
            self.values[:, row, :, :length] = self.values[:, len(self), :, :length]

    def places(self, time: int) -> Tensor:
        assert time == 1
        self._places = torch.tensor(self.lengths, device=self.keys.device)
        return self._places[:, None]  # (rows in use, 1)

    def mask(self, time: int) -> Tensor:
        seen = torch.arange(self.length + time, device=self.keys.device) <= self._places[:, None]
        return seen[:, None, None]  # (rows in use, 1, 1, length + 1)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        rows, end = torch.arange(len(self), device=keys.device), self.length + 1
        held_keys, held_values = self.keys[layer, : len(self)], self.values[layer, : len(self)]
        held_keys[rows, :, self._places] = keys[:, :, 0]  # (rows in use, heads, head_dim)
        held_values[rows, :, self._places] = values[:, :, 0]
        return held_keys[:, :, :end], held_values[:, :, :end]

    def advance(self, time: int) -> None:
        self.lengths = [length + time for length in self.lengths]
