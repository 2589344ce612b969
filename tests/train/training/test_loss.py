"""The chunked loss: what the whole one gives, values and gradients, and never the memory of the whole one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from incoder_train.training.loss import chunked_cross_entropy

Problem = tuple[Tensor, Tensor, Tensor, Tensor]


def problem(
    tokens: int, vocab: int, d_model: int = 8, *, seed: int = 0, dtype: torch.dtype = torch.float32, zeros: float = 0.3
) -> Problem:
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, d_model, generator=rng).to(dtype).requires_grad_()
    weight = torch.randn(vocab, d_model, generator=rng).to(dtype).requires_grad_()
    targets = torch.randint(vocab, (tokens,), generator=rng)
    weights = torch.rand(tokens, generator=rng) * (torch.rand(tokens, generator=rng) >= zeros)
    return hidden, weight, targets, weights


def whole(hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    losses = F.cross_entropy((hidden @ weight.T).float(), targets, reduction="none")
    return (losses * weights).sum()


class Largest(TorchDispatchMode):
    """The most elements of any tensor that was made inside, views of earlier ones aside."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        known = {storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor) and storage(leaf) not in known]
        self.elements = max(self.elements, *(leaf.numel() for leaf in made), 0)
        return out


def storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@given(
    tokens=st.integers(0, 40),
    vocab=st.integers(2, 60),
    chunk=st.integers(1, 50),
    seed=st.integers(0, 999),
    zeros=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_equals_the_whole_loss_and_its_gradients(tokens: int, vocab: int, chunk: int, seed: int, zeros: float) -> None:
    inputs = problem(tokens, vocab, seed=seed, zeros=zeros)
    wanted, found = whole(*inputs), chunked_cross_entropy(*inputs, chunk)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    for mine, reference in zip(
        torch.autograd.grad(found, inputs[:2]), torch.autograd.grad(wanted, inputs[:2]), strict=True
    ):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5)


def test_gradients_in_double_precision() -> None:
    hidden, weight, targets, weights = problem(7, 11, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda h, w: chunked_cross_entropy(h, w, targets, weights, 3), (hidden, weight))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_near_to_the_truth_as_the_whole_loss(dtype: torch.dtype) -> None:
    inputs = problem(64, 300, 32, dtype=dtype)
    exact = [x.detach().double().requires_grad_() for x in inputs[:2]]
    truth = torch.autograd.grad(chunked_cross_entropy(*exact, *inputs[2:], 64), exact)

    def error(loss: Tensor) -> float:
        gradients = torch.autograd.grad(loss, inputs[:2])
        return max(((g - t).norm() / t.norm()).item() for g, t in zip(gradients, truth, strict=True))

    found = chunked_cross_entropy(*inputs, 10)
    torch.testing.assert_close(found, whole(*inputs))
    assert error(found) < 1.1 * error(whole(*inputs))


def test_a_loss_scale_multiplies_the_gradients() -> None:
    inputs = problem(20, 30, dtype=torch.float16)
    plain = torch.autograd.grad(chunked_cross_entropy(*inputs, 7), inputs[:2])
    scaled = torch.autograd.grad(chunked_cross_entropy(*inputs, 7) * 1024, inputs[:2])
    for gradient, larger in zip(plain, scaled, strict=True):
        assert larger.dtype == torch.float16
        torch.testing.assert_close(larger / 1024, gradient, rtol=2e-3, atol=1e-3)


def test_a_loss_scale_that_is_too_high_shows_as_infinity() -> None:
    inputs = problem(20, 30, dtype=torch.float16)
    gradients = torch.autograd.grad(chunked_cross_entropy(*inputs, 7) * 2.0**30, inputs[:2])
    assert not any(torch.isfinite(gradient).all() for gradient in gradients)


def test_the_logits_never_exist_as_a_whole() -> None:
    tokens, vocab, d_model, chunk = 100, 500, 4, 10
    inputs = problem(tokens, vocab, d_model, zeros=0.0)
    with Largest() as ours:
        chunked_cross_entropy(*inputs, chunk).backward()
    with Largest() as plain:
        whole(*inputs).backward()
    assert plain.elements == tokens * vocab  # the measure sees what it should
    assert ours.elements == chunk * vocab


def test_tokens_of_weight_zero_cost_nothing_and_may_hold_anything() -> None:
    hidden, weight, targets, weights = problem(50, 20, zeros=0.0)
    weights = weights.clone()
    weights[5:] = 0
    few = chunked_cross_entropy(hidden[:5], weight, targets[:5], weights[:5], 8)
    spoilt = hidden.detach().clone()
    spoilt[5:] = torch.nan
    spoilt.requires_grad_()
    with Largest() as made:
        many = chunked_cross_entropy(spoilt, weight, targets, weights, 50)
    torch.testing.assert_close(many, few)
    assert made.elements <= max(50 * 8, 5 * 20, 20 * 8)  # hidden, logits of five tokens, embedding
    (gradient,) = torch.autograd.grad(many, spoilt)
    assert torch.isfinite(gradient).all()
    assert not gradient[5:].any()


def test_validation_does_no_gradient_work() -> None:
    inputs = problem(20, 30)
    with torch.no_grad(), Largest() as made:
        loss = chunked_cross_entropy(*inputs, 2)
    assert not loss.requires_grad
    assert made.elements < inputs[1].numel()  # no gradient of the embedding was made
    torch.testing.assert_close(loss, whole(*inputs).detach())


def test_one_result_can_be_used_twice() -> None:
    inputs = problem(20, 30)
    loss = chunked_cross_entropy(*inputs, 7)
    once = torch.autograd.grad(loss, inputs[:2], retain_graph=True)
    twice = torch.autograd.grad(loss + 2 * loss, inputs[:2], retain_graph=True)
    again = torch.autograd.grad(loss, inputs[:2])
    for first, third, same in zip(once, twice, again, strict=True):
        torch.testing.assert_close(third, 3 * first)
        assert torch.equal(same, first)


def test_only_one_of_the_two_may_need_a_gradient() -> None:
    hidden, weight, targets, weights = problem(20, 30)
    (wanted,) = torch.autograd.grad(whole(hidden, weight, targets, weights), weight)
    chunked_cross_entropy(hidden.detach(), weight, targets, weights, 7).backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, wanted)
