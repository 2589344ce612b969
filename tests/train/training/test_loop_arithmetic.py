"""What a training step computes: the learning rate, how far a run is, the loss, and validation."""

import dataclasses
from pathlib import Path

import pytest
import torch

from incoder_model.causal_mask import SpanDistribution
from incoder_model.config import PRESETS, ModelConfig
from incoder_model.tokenizer import Tokenizer
from incoder_model.transformer import Transformer, initial_weight, initialise
from incoder_train.tokens.batches import Samples, pad
from incoder_train.tokens.shards import open_shard
from incoder_train.training.loop import done, learning_rate
from incoder_train.training.objective import Objective, on_device
from incoder_train.training.parallel import World, place
from incoder_train.training.recipe import Data, Machine, Optimiser, Recipe, Run
from incoder_train.training.start import Count
from incoder_train.training.update import loss_on

NOWHERE = Data(Path(), Path(), Path())


def tiny(tokenizer: Tokenizer, **changes: float) -> ModelConfig:
    return dataclasses.replace(PRESETS["tiny"], vocab_size=tokenizer.vocab_size, **changes)  # pyright: ignore[reportArgumentType]


def test_the_learning_rate_warms_up_and_decays_to_zero() -> None:
    recipe = Recipe("r", NOWHERE, optimiser=Optimiser(lr=1.0, warmup_steps=10), run=Run(steps=100))
    rates = [learning_rate(Count(step=step), recipe) for step in range(101)]
    assert rates[:3] == pytest.approx([0.1, 0.2 * 0.99, 0.3 * 0.98])
    assert rates[50] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.01)
    assert rates[100] == 0
    squared = dataclasses.replace(recipe, optimiser=dataclasses.replace(recipe.optimiser, decay_power=2.0))
    assert learning_rate(Count(step=50), squared) == pytest.approx(0.25)


def test_a_run_is_done_at_the_first_of_its_two_ends() -> None:
    recipe = Recipe("r", NOWHERE, run=Run(steps=100, minutes=2.0))
    assert done(Count(step=30, seconds=12), recipe) == pytest.approx(0.3)
    assert done(Count(step=30, seconds=60), recipe) == pytest.approx(0.5)
    assert done(Count(step=30, seconds=500), recipe) == 1
    assert done(Count(step=100), recipe) == 1


def test_the_loss_is_over_all_targets_but_learns_no_sentinel(tokenizer: Tokenizer) -> None:
    """Against the definition, term by term."""
    torch.manual_seed(0)
    model = initialise(Transformer(tiny(tokenizer))).eval()
    m0, end = tokenizer.sentinels[0], tokenizer.sentinels.end
    rows = [[10, m0, 11, m0, 12, end], [20, 21]]
    losses = []
    for row in rows:
        log_p = model.logits(model(torch.tensor([[2, *row[:-1]]])))[0].log_softmax(-1)
        losses += [-log_p[i, token].item() for i, token in enumerate(row) if token != m0]
    assert len(losses) == 6
    batch = pad(rows, tokenizer.sentinels)
    loss = Objective(model, chunk=4)(*on_device(batch, torch.device("cpu"))).item() / batch.tokens
    assert loss == pytest.approx(sum(losses) / 8, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_validation_is_repeatable_and_changes_nothing(
    data_directory: Path, tokenizer: Tokenizer, dtype: torch.dtype
) -> None:
    shard = open_shard(data_directory / "validation")
    samples = Samples(shard, tokenizer, context=64, batch_size=4, seed=1, spans=SpanDistribution(), editor_share=0.5)
    config, world = tiny(tokenizer, dropout=0.1), World(0, 1, torch.device("cpu"))
    replica = place(config, world, Machine(), dtype, lambda name, shape: initial_weight(name, shape, config))
    batches = [samples.batch(4 * i) for i in range(3)]
    random_state = torch.get_rng_state()
    loss = loss_on(replica, batches, world, None)
    assert loss == loss_on(replica, batches, world, None)
    assert loss == pytest.approx(loss_on(replica, batches, world, 1), rel=1e-2 if dtype is torch.bfloat16 else 1e-5)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert replica.module.training
    assert all(parameter.grad is None for parameter in replica.parameters.values())
