"""One token through the network in fixed shapes: where it stands is a number on the device, so the same work is done for every
place, and a GPU can record it once as a CUDA graph and play it again without asking the CPU for its hundreds of kernels.

A token attends to the whole buffer of keys and values, of which a mask hides what lies behind it. That reads more than the plain
cache does (with 6.7B parameters and 2,048 tokens up to a twelfth of what the weights are), and gives the same scores.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from incoder_model.transformer import KVCache, Transformer

WARM_UP = 3  # steps before a recording: libraries choose their kernels, and take their memory, in the first ones


class StaticStep:
    """Steps a `cache` that holds some tokens already, in place. It keeps its length."""

    def __init__(self, model: Transformer, cache: KVCache):
        device = cache.keys.device
        self._model, self._cache, self._view = model, cache, _View(cache)
        self._token = torch.zeros(1, 1, dtype=torch.int64, device=device)
        self._scores = torch.zeros(model.config.vocab_size, device=device)
        with torch.inference_mode():
            self._run = recorded(self._compute) if device.type == "cuda" else self._compute

    @torch.inference_mode()
    def __call__(self, token: int) -> Tensor:
        """(vocab_size,) float32: the scores after one more token, on the device. The next step writes over them."""
        if self._cache.length >= self._cache.keys.shape[3]:
            raise ValueError(f"the cache is full: it holds {self._cache.length} tokens")
        self._token.fill_(token)
        self._view.place.fill_(self._cache.length)
        self._run()
        self._cache.length += 1
        return self._scores

    def _compute(self) -> None:
        self._scores.copy_(self._model.logits(self._model(self._token, self._view)[0, -1]))


def recorded(run: Callable[[], None]) -> Callable[[], None]:
    """What `run` does on the current GPU, in one launch. Its tensors must stay where they are, and it may not wait for the CPU."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


class _View:
    """A cache as a step sees it: the next token's place is a tensor, and all of the buffers are given. See `transformer.Cache`."""

    length = 0  # nothing here depends on it; StaticStep minds that there is room

    def __init__(self, cache: KVCache):
        self._keys, self._values = cache.keys, cache.values
        self.place = torch.zeros(1, dtype=torch.int64, device=cache.keys.device)
        self._all = torch.arange(cache.keys.shape[3], device=cache.keys.device)

    def places(self, time: int) -> Tensor:
        return self.place

    def mask(self, time: int) -> Tensor:
        return (self._all <= self.place)[None, :]  # (1, capacity)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        self._keys[layer].index_copy_(2, self.place, keys)
        self._values[layer].index_copy_(2, self.place, values)
        return self._keys[layer], self._values[layer]

    def advance(self, time: int) -> None:
        pass
