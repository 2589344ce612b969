"""What is minimised: a network and a batch in, the sum of its weighted losses out. It is one module, so that whatever is wrapped
around a module (sharding, precision) also covers the tied head, which belongs to the loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from incoder_model.transformer import Transformer
from incoder_train.tokens.batches import Batch
from incoder_train.training.loss import chunked_cross_entropy


class Objective(nn.Module):
    def __init__(self, model: Transformer, chunk: int):
        super().__init__()
        self.model, self.chunk = model, chunk

    def forward(self, inputs: Tensor, targets: Tensor, weights: Tensor, segments: Tensor | None = None) -> Tensor:
        """The sum over all tokens of weight times negative log-likelihood, in nats: a scalar in float32.

        inputs, targets: (batch, time) ids; weights: (batch, time), 0 for padding and sentinels (paper section 2.1);
        segments: (batch, time), where a row holds several documents that must not see each other."""
        hidden = self.model(inputs, segments=segments).flatten(0, 1)  # (batch * time, d_model)
        head = self.model.embed_tokens.weight
        return chunked_cross_entropy(hidden, head, targets.flatten(), weights.flatten(), self.chunk)


def on_device(batch: Batch, device: torch.device) -> tuple[Tensor, ...]:
    """The arguments of `Objective.forward`."""
    arrays = (batch.inputs, batch.targets, batch.weights, batch.segments)
    tensors = (torch.from_numpy(array) for array in arrays if array is not None)
    if device.type == "cuda":
        return tuple(tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors)
    return tuple(tensors)
