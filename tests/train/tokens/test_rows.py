"""Rows of several blocks: every block once, none too many in a row, and the network reads each as if it stood alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.causal_mask import SpanDistribution, unmask
from incoder_model.config import PRESETS
from incoder_model.tokenizer import BOS, PAD, Tokenizer
from incoder_model.transformer import Transformer, initialise
from incoder_train.tokens.batches import Batch, Samples, collate, pad, padding_waste
from incoder_train.tokens.blocks import SHORTEST, Blocks, cut_blocks
from incoder_train.tokens.rows import first_fit_decreasing, packed, room, single
from incoder_train.tokens.shards import Shard, open_shard
from incoder_train.tokens.spans import EditorSpans

lengths_of_blocks = st.integers(SHORTEST, 80).flatmap(
    lambda context: st.tuples(st.just(context), st.lists(st.integers(SHORTEST, context), max_size=60))
)


def plainly(sizes: list[int], capacity: int) -> list[int]:
    """First fit decreasing as it is defined."""
    free: list[int] = []
    rows = [0] * len(sizes)
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        row = next((row for row, room in enumerate(free) if room >= sizes[i]), len(free))
        if row == len(free):
            free.append(capacity)
        free[row] -= sizes[i]
        rows[i] = row
    return rows


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 20))
def test_first_fit_decreasing_window_by_window(sizes: list[int], window: int) -> None:
    rows = first_fit_decreasing(np.array(sizes, int), 50, window).tolist()
    for start in range(0, len(sizes), window):
        end = start + window
        assert rows[start:end] == [start + row for row in plainly(sizes[start:end], 50)]


@given(lengths_of_blocks, st.integers(0, 5))
def test_every_block_is_in_one_row_and_no_row_is_too_full(case: tuple[int, list[int]], seed: int) -> None:
    context, lengths = case
    blocks = cut_blocks(np.cumsum([0, *lengths]), context)
    rows = packed(blocks, context, seed)
    assert sorted(rows.blocks.starts.tolist()) == blocks.starts.tolist()
    assert rows.first[0] == 0
    assert rows.first[-1] == len(blocks)
    for row, size in enumerate(rows.sizes.tolist()):
        inside = rows.blocks.lengths[rows.first[row] : rows.first[row + 1]]
        assert len(inside) >= 1
        assert room(inside, context).sum() == size <= context


def test_one_block_in_each_row() -> None:
    blocks = cut_blocks(np.array([0, 20, 60]), 32)
    rows = single(blocks)
    assert len(rows) == len(blocks) == 2
    assert rows.blocks is blocks
    assert list(rows.first) == [0, 1, 2]
    assert rows.sizes.tolist() == [20, 32]


@pytest.fixture(scope="module")
def samples(data_directory: Path, tokenizer: Tokenizer) -> Samples:
    return Samples(
        open_shard(data_directory / "train"),
        tokenizer,
        context=256,
        batch_size=4,
        seed=1,
        spans=SpanDistribution(),
        editor_share=0.3,
        editor=EditorSpans(truncate_right=0),
        rows="packed",
    )


def test_a_packed_row_token_for_token(tokenizer: Tokenizer) -> None:
    m0, end = tokenizer.sentinels[0], tokenizer.sentinels.end
    rows = [[np.array([10, m0, 11, m0, 12, end]), np.array([20, 21])], [np.array([30])]]
    batch = collate(rows, tokenizer.sentinels, segmented=True)
    assert batch.segments is not None
    assert batch.targets.tolist() == [[10, m0, 11, m0, 12, end, 20, 21], [30] + [PAD] * 7]
    assert batch.inputs[0].tolist() == [BOS, 10, m0, 11, m0, 12, BOS, 20]
    assert batch.inputs[1, 0] == BOS
    assert batch.segments.tolist() == [[0] * 6 + [1] * 2, [0] + [1] * 7]
    assert batch.weights.tolist() == [[1, 0, 1, 0, 1, 1, 1, 1], [1] + [0] * 7]
    assert batch.segments.dtype == np.int32


def test_packed_samples(samples: Samples) -> None:
    """Each sequence is the beginning of its block, masked; nearly all of it, although a row must not be too long."""
    several = lost = total = 0
    for index in range(samples.epoch_samples * 2):
        row = samples.row(index)
        several += len(row) > 1
        assert sum(map(len, row)) <= samples.context
        place = int(samples._order(index // samples.epoch_samples)[index % samples.epoch_samples])
        which = slice(samples.rows.first[place], samples.rows.first[place + 1])
        blocks = samples.rows.blocks[which]
        assert len(row) == len(blocks)
        for sequence, start, length in zip(row, blocks.starts, blocks.lengths, strict=True):
            document, _ = unmask(sequence.tolist(), samples.sentinels)
            assert document == samples.tokens[start : start + len(document)].tolist()
            lost, total = lost + int(length) - len(document), total + int(length)
    assert several > 0.3 * samples.epoch_samples
    assert lost < 0.02 * total


def test_packing_wastes_less(samples: Samples, data_directory: Path, tokenizer: Tokenizer) -> None:
    """Of rows as long as the context, which blocks in rows of their own fill badly."""
    shard = open_shard(data_directory / "train")
    blocks = cut_blocks(shard.offsets, samples.context)
    assert len(samples.rows) < len(blocks)
    assert samples.rows.sizes.mean() > 0.9 * samples.context
    assert blocks.lengths.mean() < 0.8 * samples.context
    batches = [samples.batch(4 * i) for i in range(3)]
    assert padding_waste(samples, 3) == pytest.approx(
        sum((b.targets == PAD).sum() for b in batches) / sum(b.targets.size for b in batches)
    )


def loss_of(model: Transformer, batch: Batch) -> torch.Tensor:
    """The sum over all targets."""
    segments = None if batch.segments is None else torch.from_numpy(batch.segments)
    logits = model.logits(model(torch.from_numpy(batch.inputs), segments=segments))
    losses = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(batch.targets).flatten(), reduction="none")
    return (losses * torch.from_numpy(batch.weights).flatten()).sum()


def test_the_loss_of_packed_rows_is_that_of_their_blocks(samples: Samples, tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    config = replace(PRESETS["tiny"], vocab_size=tokenizer.vocab_size, context=samples.context)
    model = initialise(Transformer(config)).eval()
    seen = next(i for i in range(samples.epoch_samples) if len(samples.row(i)) > 2)
    rows = [samples.row(index) for index in range(seen, seen + 4)]
    together = loss_of(model, samples.batch(seen))
    alone = [loss_of(model, pad([sequence], tokenizer.sentinels)) for row in rows for sequence in row]
    torch.testing.assert_close(together, torch.stack(alone).sum(), rtol=1e-5, atol=0)


def test_the_same_packing_every_time_and_another_for_another_seed() -> None:
    lengths = np.random.default_rng(0).integers(SHORTEST, 64, 500)
    blocks = Blocks(np.cumsum([0, *lengths[:-1]]), lengths.astype(np.uint16))
    first, again, other = (packed(blocks, 64, seed) for seed in (1, 1, 2))
    assert first.blocks.starts.tolist() == again.blocks.starts.tolist() != other.blocks.starts.tolist()


def test_a_shard_without_blocks_has_no_rows() -> None:
    blocks = cut_blocks(np.array([0]), 64)
    assert len(single(blocks)) == len(packed(blocks, 64, 1)) == 0
    assert len(cut_blocks(np.array([0, 3, 9]), 64)) == 0
    assert Shard(np.empty(0, np.uint16), np.array([0]), "", "").name == "the data"
