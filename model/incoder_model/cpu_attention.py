"""Causal attention for training on a CPU in bf16: queries, keys and values come in, what torch's fused attention gives goes out.

On a processor with bf16 instructions torch's fused kernel reaches a quarter of the speed of a plain matrix product. This one
takes the queries `BLOCK` at a time, each block with the keys up to its end and no further, as three plain products in the
forward pass and four in the backward pass. The probabilities are kept between the two: heads * time * time bytes, and a
little more, for each row and layer (7 heads and 1,024 tokens: 9 MB).
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 256  # queries; smaller ones skip more of the keys, larger ones make larger products


def causal_attention(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """(batch, heads, time, head_dim) each, and so the result: every query attends to the keys up to its own place."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and torch.is_grad_enabled() and not dropout:
        return in_blocks(q, k, v)
    return F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1, dropout_p=dropout)


def in_blocks(q: Tensor, k: Tensor, v: Tensor, block: int = BLOCK) -> Tensor:
    """The same for any precision, by plain products. Softmax is computed in float32 and kept in the precision of `q`."""
    scaled = q * q.shape[-1] ** -0.5
    out = _InBlocks.apply(*(x.flatten(0, 1) for x in (scaled, k, v)), block)  # (batch * heads, time, head_dim)
    return cast("Tensor", out).view(q.shape)


class _InBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        future = torch.full((block, block), -torch.inf, dtype=q.dtype).triu_(1)
        out, kept = torch.empty_like(v), []
        for start, end in _bounds(q.shape[1], block):
            scores = torch.bmm(q[:, start:end], k[:, :end].mT)
            scores[:, :, start:] += future[: end - start, : end - start]
            probabilities = scores.softmax(-1).to(q.dtype)  # the cast is for autocast, under which softmax is float32
            out[:, start:end] = torch.bmm(probabilities, v[:, :end])
            kept.append(probabilities)
        ctx.save_for_backward(q, k, v, *kept)
        ctx.block = block
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        q, k, v, *kept = ctx.saved_tensors
        by_q, by_k, by_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for (start, end), probabilities in zip(_bounds(q.shape[1], ctx.block), kept, strict=True):
            rows = gradient[:, start:end]
            by_v[:, :end] += torch.bmm(probabilities.mT, rows)
            by_probabilities = torch.bmm(rows, v[:, :end].mT)
            by_scores = torch.ops.aten._softmax_backward_data(by_probabilities, probabilities, -1, q.dtype)
            by_q[:, start:end] = torch.bmm(by_scores, k[:, :end])
            by_k[:, :end] += torch.bmm(by_scores.mT, q[:, start:end])
        return by_q, by_k, by_v, None


def _bounds(time: int, block: int) -> list[tuple[int, int]]:
    return [(start, min(start + block, time)) for start in range(0, time, block)]
