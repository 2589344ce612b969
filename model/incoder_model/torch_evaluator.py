"""Runs a Transformer for the engine, on the device and in the precision that its weights are in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from incoder_model.static_step import StaticStep
from incoder_model.transformer import KVCache, Transformer


class TorchEvaluator:
    """See `engine.Evaluator`."""

    def __init__(self, model: Transformer, static: bool | None = None):
        """static: single tokens go through `StaticStep`; None leaves it to the device, for it pays on GPUs alone."""
        weight = model.embed_tokens.weight
        self._model = model
        self._device = weight.device
        self._cache = KVCache(model.config, dtype=weight.dtype, device=weight.device)
        self._step = StaticStep(model, self._cache) if (static is None and weight.is_cuda) or static else None
        self.context = model.config.context

    @torch.inference_mode()
    def evaluate(self, tokens: Sequence[int]) -> np.ndarray:
        if self._step and len(tokens) == 1:
            return self._step(tokens[0]).cpu().numpy().copy()  # a CPU's are not copied by cpu()
        hidden = self._model(torch.tensor([tokens], device=self._device), self._cache)  # (1, time, d_model)
        return self._model.logits(hidden[0, -1]).float().cpu().numpy()

    @torch.inference_mode()
    def evaluate_each(self, tokens: Sequence[int]) -> np.ndarray:
        hidden = self._model(torch.tensor([tokens], device=self._device), self._cache)  # (1, time, d_model)
        return self._model.logits(hidden[0]).float().cpu().numpy()

    def truncate(self, length: int) -> None:
        self._cache.length = length
