"""Layers whose weights stay in eight bits on the device, for a model that would not fit otherwise. Activations are not rounded.

Whole numbers times scales make the weights again, in the precision of the activations: for many tokens by plain operations, a
matrix at a time; for few, where that would cost more than the product, by torch's own kernel if the device has it. The embedding,
which is the output head as well, stays as it is: a thirtieth of the 6.7B model.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from incoder_model.quantise import SCALE, quantise
from incoder_model.transformer import Transformer

FEW = 16  # tokens


class Int8Linear(nn.Module):
    """nn.Linear with weight (out, in) int8 and scale (out,): the weight of a row is its whole numbers times its scale."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, scale: Tensor, bias: nn.Parameter):
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)  # not among what a file is checked against
        self.register_buffer("scale", scale, persistent=False)
        self.bias = bias
        self.fused: bool | None = None  # whether by the kernel; not known yet, as the device is not

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if rows.shape[0] <= FEW and self._has_kernel(rows):
            out = kernel(rows, self.weight, self.scale) + self.bias
        else:
            out = F.linear(rows, self.weight.to(x.dtype).mul_(self.scale[:, None]), self.bias)
        return out.view(*x.shape[:-1], -1)

    def _has_kernel(self, rows: Tensor) -> bool:
        """Found out once, by trying: not every build of torch has the kernel for every device and precision."""
        if self.fused is None:
            try:
                kernel(rows[:1], self.weight, self.scale)
                self.fused = True
            except (AttributeError, NotImplementedError, RuntimeError):
                self.fused = False
        return self.fused


def kernel(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """(few, in) by (out, in) int8 and its (out,) scales: (few, out). Raises NotImplementedError or RuntimeError
    where there is none."""
    return torch.ops.aten._weight_int8pack_mm(rows, weight, scale)


def hold_int8(model: Transformer, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Take the matrices of the layers out of `weights`, as a file stores them, and make them Int8Linear layers of `model`.

    Those in int8 stay as they are, others are quantised. What does not fit the model stays in `weights`, for its reader to judge.
    """
    for name, layer in list(model.named_modules()):
        key = f"{name}.weight"
        if not isinstance(layer, nn.Linear) or key not in weights or weights[key].shape != layer.weight.shape:
            continue
        whole, scale = weights[key], weights.get(key + SCALE)
        if whole.dtype is not torch.int8:
            values, scales = quantise(whole.float().numpy())
            whole, scale = torch.from_numpy(values), torch.from_numpy(scales)
        if scale is None or scale.shape != whole.shape[:1]:
            continue
        weights.pop(key)
        weights.pop(key + SCALE, None)
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, Int8Linear(whole, scale.to(dtype), layer.bias))
