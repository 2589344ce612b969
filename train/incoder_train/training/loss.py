"""The loss, its logits never whole: hidden states and the embedding come in, a sum of negative log-likelihoods goes out.

The head is the largest thing in training: one sequence of InCoder's 2,048 tokens has 103 million logits, and its softmax and
their gradient as many again. Here they exist for `chunk` tokens at a time. Their gradient is known as soon as they are, so
the forward pass takes it back to the hidden states and the embedding at once, and the backward pass only scales it.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def chunked_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor, chunk: int) -> Tensor:
    """The sum over tokens of `weights` times the negative log-likelihood of `targets`, in nats: a scalar in float32.

    hidden: (tokens, d_model) and weight: (vocab, d_model), of one dtype, in which the matrices are multiplied; the softmax,
    the sum and the embedding's gradient are float32 (float64 for float64). targets: (tokens,) ids; weights: (tokens,).
    Tokens of weight 0, which are sentinels and padding, cost nothing. Divide the sum, not `weights`, by a denominator.
    """
    if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
        return cast("Tensor", _WithGradients.apply(hidden, weight, targets, weights, chunk))
    return _sum(hidden, weight, targets, weights, chunk, None)


def _sum(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    weights: Tensor,
    chunk: int,
    gradients: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """The loss; its gradients by `hidden` and `weight` are added to `gradients`, where there are any."""
    exact = torch.promote_types(hidden.dtype, torch.float32)
    loss = torch.zeros((), dtype=exact, device=hidden.device)
    for rows in _kept(weights).split(chunk):
        states, ids, scale = hidden[rows], targets[rows, None], weights[rows, None].to(exact)
        log_likelihoods = torch.log_softmax(states @ weight.T, dim=1, dtype=exact)  # (chunk, vocab)
        loss -= (log_likelihoods.gather(1, ids) * scale).sum()
        if gradients is not None:  # that of the logits is softmax - one_hot(target)
            by_logits = log_likelihoods.exp_().scatter_add_(1, ids, torch.full_like(scale, -1)).to(hidden.dtype)
            scale = scale.to(hidden.dtype)
            gradients[0][rows] = (by_logits @ weight) * scale
            gradients[1].add_(by_logits.T @ (states * scale))
            del by_logits
        del log_likelihoods  # before the next chunk makes its own
    return loss


def _kept(weights: Tensor) -> Tensor:
    """The tokens that count. On a GPU all do: to count them would make it wait for the processor."""
    if weights.device.type == "cpu":
        return weights.nonzero().squeeze(1)
    return torch.arange(len(weights), device=weights.device)


class _WithGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor, chunk: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        exact = torch.promote_types(weight.dtype, torch.float32)
        gradients = torch.zeros_like(hidden), torch.zeros_like(weight, dtype=exact)
        loss = _sum(hidden, weight, targets, weights, chunk, gradients)
        ctx.save_for_backward(*gradients)
        ctx.dtype = weight.dtype
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        by_hidden, by_weight = ctx.saved_tensors
        return by_hidden * scale, (by_weight * scale).to(ctx.dtype), None, None, None
