"""Which parameters go to which optimiser, and what Muon does to a matrix."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from incoder_model.config import ModelConfig
from incoder_model.transformer import Transformer
from incoder_train.training.optimiser import Muon, make_optimisers, orthogonalise
from incoder_train.training.recipe import Optimiser

CONFIG = ModelConfig(vocab_size=300, d_model=32, layers=2, heads=2, d_ffn=64, context=16)


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 100), st.sampled_from([None, torch.bfloat16]))
@settings(max_examples=25, deadline=None)
def test_an_orthogonalised_matrix_treats_all_directions_alike(
    rows: int, columns: int, seed: int, dtype: torch.dtype | None
) -> None:
    # Half of a random orthogonal matrix, its singular values spread over a factor of ten.
    generator = torch.Generator().manual_seed(seed)
    u, _, v = torch.linalg.svd(torch.randn(rows, columns, generator=generator), full_matrices=False)
    spread = torch.linspace(0.1, 1.0, min(rows, columns))
    orthogonal = orthogonalise(u @ torch.diag(spread) @ v, dtype)
    assert orthogonal.dtype == torch.float32
    values = torch.linalg.svdvals(orthogonal)
    assert values.min() > 0.5
    assert values.max() < 1.3


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_every_parameter_is_updated_once_and_vectors_do_not_decay(kind: str) -> None:
    model = Transformer(CONFIG)
    optimisers = make_optimisers(dict(model.named_parameters()), Optimiser(kind=kind, weight_decay=0.1))  # type: ignore[arg-type]
    groups = [group for optimiser in optimisers for group in optimiser.param_groups]
    taken = [id(p) for group in groups for p in group["params"]]
    assert sorted(taken) == sorted(id(p) for p in model.parameters())
    assert all(group["weight_decay"] == (0.1 if p.dim() >= 2 else 0.0) for group in groups for p in group["params"])


def test_muon_takes_the_matrices_of_the_blocks_only() -> None:
    model = Transformer(CONFIG)
    _, muon = make_optimisers(dict(model.named_parameters()), Optimiser(kind="muon"))
    by_muon = {id(p) for group in muon.param_groups for p in group["params"]}
    assert by_muon == {id(p) for name, p in model.named_parameters() if name.startswith("layers.") and p.dim() == 2}


@pytest.mark.parametrize("bf16", [False, True])
def test_muon_goes_downhill(bf16: bool) -> None:
    torch.manual_seed(0)
    target, weight = torch.randn(8, 8), torch.nn.Parameter(torch.zeros(8, 8))
    muon = Muon([weight], lr=0.1, bf16=bf16)
    losses = []
    for _ in range(60):
        loss = (weight - target).square().mean()
        loss.backward()
        muon.step()
        muon.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
