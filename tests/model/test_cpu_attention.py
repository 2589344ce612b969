"""Attention in blocks: what torch's fused attention gives, values and gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from incoder_model.cpu_attention import causal_attention, in_blocks


def some_inputs(batch: int, heads: int, time: int, head_dim: int, dtype: torch.dtype, seed: int = 0) -> list[Tensor]:
    """Queries, keys and values as the projections leave them: (batch, time, heads, head_dim), transposed."""
    rng = torch.Generator().manual_seed(seed)
    shape = (batch, time, heads, head_dim)
    return [torch.randn(shape, generator=rng).to(dtype).transpose(1, 2).requires_grad_() for _ in range(3)]


def value_and_gradients(out: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(5)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), inputs)]


@given(
    batch=st.integers(1, 3),
    heads=st.integers(1, 3),
    time=st.integers(1, 40),
    block=st.integers(1, 50),
    seed=st.integers(0, 99),
)
def test_equals_fused_attention(batch: int, heads: int, time: int, block: int, seed: int) -> None:
    inputs = some_inputs(batch, heads, time, 6, torch.float64, seed)
    wanted = value_and_gradients(F.scaled_dot_product_attention(*inputs, is_causal=True), inputs)
    found = value_and_gradients(in_blocks(*inputs, block), inputs)
    for mine, reference in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-9, atol=1e-12)


def test_bf16_is_about_as_near_to_the_truth_as_fused_attention() -> None:
    inputs = some_inputs(2, 2, 300, 64, torch.bfloat16)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    truth = value_and_gradients(F.scaled_dot_product_attention(*exact, is_causal=True), exact)

    def errors(out: Tensor) -> list[float]:
        found = value_and_gradients(out, inputs)
        return [((mine - true).norm() / true.norm()).item() for mine, true in zip(found, truth, strict=True)]

    fused = errors(F.scaled_dot_product_attention(*inputs, is_causal=True))
    mine = errors(causal_attention(*inputs, dropout=0.0))
    assert mine != fused  # it is the blocks that are measured
    for error, reference in zip(mine, fused, strict=True):
        assert error < max(1.5 * reference, 0.005)


def test_under_autocast() -> None:
    inputs = some_inputs(1, 2, 30, 8, torch.bfloat16)
    plain = value_and_gradients(in_blocks(*inputs, 16), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        out = in_blocks(*inputs, 16)
    for found, wanted in zip(value_and_gradients(out, inputs), plain, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_gradients_it_is_fused_attention(dtype: torch.dtype) -> None:
    inputs = some_inputs(1, 2, 30, 8, dtype)
    with torch.no_grad():
        expected = F.scaled_dot_product_attention(*inputs, is_causal=True)
        assert torch.equal(causal_attention(*inputs, dropout=0.0), expected)
