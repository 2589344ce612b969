"""What the model sees: every block once an epoch, each sample a pure function of its index, targets one ahead of inputs."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.causal_mask import SpanDistribution, unmask
from incoder_model.tokenizer import BOS, PAD, Tokenizer
from incoder_train.errors import UserError
from incoder_train.tokens.batches import Batch, LoaderState, Samples, pad
from incoder_train.tokens.blocks import SHORTEST, Blocks, cut_blocks
from incoder_train.tokens.order import rng_for
from incoder_train.tokens.shards import Shard, open_shard
from incoder_train.tokens.spans import EditorSpans

CONTEXT, BATCH_SIZE = 64, 4


def make(shard: Shard, tokenizer: Tokenizer, **options: object) -> Samples:
    settings = {
        "context": CONTEXT,
        "batch_size": BATCH_SIZE,
        "seed": 1,
        "spans": SpanDistribution(),
        "editor_share": 0.5,
    }
    return Samples(shard, tokenizer, **(settings | options))  # pyright: ignore[reportArgumentType]


def sequence(samples: Samples, index: int) -> list[int]:
    """The one sequence of a row that has one."""
    (row,) = samples.row(index)
    return row.tolist()


def as_pairs(blocks: Blocks) -> list[tuple[int, int]]:
    """The [start, end) of each."""
    return list(zip(blocks.starts.tolist(), (blocks.starts + blocks.lengths).tolist(), strict=True))


@pytest.fixture(scope="module")
def shard(data_directory: Path) -> Shard:
    return open_shard(data_directory / "train")


@pytest.fixture(scope="module")
def samples(shard: Shard, tokenizer: Tokenizer) -> Samples:
    return make(shard, tokenizer)


# --- blocks ------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 150), max_size=8), st.integers(1, 70))
def test_blocks_cover_documents_and_cross_none(lengths: list[int], context: int) -> None:
    offsets = np.cumsum([0, *lengths])
    blocks = as_pairs(cut_blocks(offsets, context))
    covered = [position for start, end in blocks for position in range(start, end)]
    assert len(covered) == len(set(covered))
    for start, end in pairwise(offsets):
        rest = (end - start) % context
        inside = [(a, b) for a, b in blocks if start <= a < end]
        whole = 0 if context < SHORTEST else (end - start) // context
        assert len(inside) == whole + (rest >= SHORTEST)
        assert all(b <= end and SHORTEST <= b - a <= context for a, b in inside)
    assert blocks == sorted(blocks)


# --- samples -----------------------------------------------------------------------------------------------------


def test_a_sample_is_the_same_whoever_asks_and_how_often(samples: Samples, shard: Shard, tokenizer: Tokenizer) -> None:
    count = 2 * len(samples.rows) + 3
    forwards = [sequence(samples, i) for i in range(count)]
    another = make(shard, tokenizer)
    assert [sequence(another, i) for i in reversed(range(count))] == forwards[::-1]
    batch = another.batch(10)
    for row, expected in zip(batch.targets, forwards[10 : 10 + BATCH_SIZE], strict=True):
        assert row[: len(expected)].tolist() == expected
        assert (row[len(expected) :] == PAD).all()
    assert sequence(make(shard, tokenizer, seed=2), 0) != forwards[0]


def test_a_block_comes_once_an_epoch_at_most(tokenizer: Tokenizer) -> None:
    """What masking leaves of it: the block itself or, where sentinels needed the room, its beginning."""
    rng = np.random.default_rng(0)
    offsets = np.cumsum([0, *rng.integers(0, 3 * CONTEXT, 50)])
    shard = Shard(rng.integers(7, tokenizer.sentinels.first, offsets[-1]).astype(np.uint16), offsets, "", "")
    samples = make(shard, tokenizer, editor=EditorSpans(truncate_right=0))
    blocks = {
        tuple(shard.tokens[start : start + 8].tolist()): shard.tokens[start:end].tolist()
        for start, end in as_pairs(samples.rows.blocks)
    }
    assert len(blocks) == len(samples.rows) > 60
    for epoch in range(3):
        seen = []
        for i in range(epoch * samples.epoch_samples, (epoch + 1) * samples.epoch_samples):
            document, _ = unmask(sequence(samples, i), samples.sentinels)
            block = blocks[tuple(document[:8])]
            assert document == block[: len(document)]
            assert len(document) >= min(len(block), CONTEXT - 3 * 7)
            seen.append(tuple(document[:8]))
        assert len(blocks) - BATCH_SIZE < len(seen) <= len(blocks)
        assert len(set(seen)) == len(seen)
        assert seen != sorted(seen)


def test_each_epoch_has_an_order_and_spans_of_its_own(samples: Samples) -> None:
    n = samples.epoch_samples
    first, second = (
        [unmask(sequence(samples, epoch * n + i), samples.sentinels) for i in range(n)] for epoch in (0, 1)
    )
    assert [document for document, _ in first] != [document for document, _ in second]
    assert sorted(spans for _, spans in first) != sorted(spans for _, spans in second)


def test_samples_fit_the_context(samples: Samples, shard: Shard, tokenizer: Tokenizer) -> None:
    for share in (0.0, 1.0):
        asked = make(shard, tokenizer, editor_share=share)
        lengths = [len(sequence(asked, i)) for i in range(2 * len(asked.rows))]
        assert max(lengths) <= CONTEXT
        assert max(lengths) > CONTEXT - 10


def test_neighbours_are_of_like_length(samples: Samples) -> None:
    padding = np.mean(
        [(samples.batch(i * BATCH_SIZE).targets == PAD).mean() for i in range(len(samples.rows) // BATCH_SIZE)]
    )
    lengths = (samples.rows.blocks.lengths).clip(max=CONTEXT)
    unsorted = 1 - lengths.mean() / CONTEXT
    assert padding < 0.6 * unsorted


def test_editors_holes_are_of_the_shapes_asked_for(shard: Shard, tokenizer: Tokenizer) -> None:
    """With a share of one, every sample has one hole at most: whole lines here. Rests of two lines have none."""
    lines = EditorSpans(within_line=0, rest_of_line=0, lines=1, block=0, truncate_right=0.5)
    samples = make(shard, tokenizer, editor_share=1.0, editor=lines)
    holes = ends = 0
    for i in range(len(samples.rows)):
        document, spans = unmask(sequence(samples, i), samples.sentinels)
        assert len(spans) <= 1
        for start, end in spans:
            holes += 1
            ends += end == len(document)
            assert document[start - 1] in tokenizer.newlines
            assert end == len(document) or document[end] in tokenizer.newlines
    assert holes > 0.85 * len(samples.rows)
    assert 0.2 * holes < ends < 0.5 * holes


def test_the_share_of_editors_holes(shard: Shard, tokenizer: Tokenizer) -> None:
    """Holes of several spans come from the paper's side only: a quarter of its samples have them (section 2.2)."""

    def several(share: float) -> float:
        samples = make(shard, tokenizer, editor_share=share)
        n = 3 * len(samples.rows)
        return sum(len(unmask(sequence(samples, i), samples.sentinels)[1]) > 1 for i in range(n)) / n

    assert several(1.0) == 0
    assert several(0.5) == pytest.approx(several(0.0) / 2, abs=0.05)


def test_random_numbers_depend_on_seed_index_and_stream_alone() -> None:
    first = {(s, i, t): rng_for(s, i, t).random() for s in range(4) for i in range(4) for t in range(2)}
    again = {key: rng_for(*key).random() for key in reversed(first)}
    assert first == again
    assert len(set(first.values())) == len(first)
    rng_for(1, 2**60).random()


# --- batches -----------------------------------------------------------------------------------------------------


def test_inputs_are_targets_one_later(samples: Samples, tokenizer: Tokenizer) -> None:
    for i in range(0, 40, BATCH_SIZE):
        batch = samples.batch(i)
        assert batch.inputs.shape == batch.targets.shape == batch.weights.shape
        assert (batch.inputs[:, 0] == BOS).all()
        assert (batch.inputs[:, 1:] == batch.targets[:, :-1]).all()
        sentinel = (batch.targets >= tokenizer.sentinels.first) & (batch.targets < tokenizer.sentinels.end)
        assert ((batch.weights == 0) == (sentinel | (batch.targets == PAD))).all()
        assert set(np.unique(batch.weights)) <= {0.0, 1.0}
        assert batch.weights.dtype == np.float32
        assert batch.tokens == sum(len(sequence(samples, j)) for j in range(i, i + BATCH_SIZE))
        assert (batch.weights[batch.targets == tokenizer.sentinels.end] == 1).all()


def test_a_batch_token_for_token(tokenizer: Tokenizer) -> None:
    m0, end = tokenizer.sentinels[0], tokenizer.sentinels.end
    batch: Batch = pad([[10, m0, 11, m0, 12, end], [20, 21]], tokenizer.sentinels)
    assert batch.inputs.tolist() == [[BOS, 10, m0, 11, m0, 12], [BOS, 20, 21, PAD, PAD, PAD]]
    assert batch.targets.tolist() == [[10, m0, 11, m0, 12, end], [20, 21, PAD, PAD, PAD, PAD]]
    assert batch.weights.tolist() == [[1, 0, 1, 0, 1, 1], [1, 1, 0, 0, 0, 0]]
    assert batch.tokens == 8


# --- many devices ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["blocks", "packed", "neighbours"])
def either(request: pytest.FixtureRequest, shard: Shard, tokenizer: Tokenizer) -> Samples:
    return make(shard, tokenizer, rows=request.param)


@given(st.integers(0, 2000), st.sampled_from([1, 2, 4]))
def test_devices_share_the_rows_of_one_batch(either: Samples, seen: int, world: int) -> None:
    shares = [either.batch(seen, rank, world) for rank in range(world)]
    rows: list[Batch] = [shares[i % world].split(1)[i // world] for i in range(BATCH_SIZE)]
    for row, alone in zip(rows, either.batch(seen).split(1), strict=True):
        assert_equal(row, alone)
    assert sum(share.tokens for share in shares) == either.batch(seen).tokens


def assert_equal(one: Batch, other: Batch) -> None:
    for name in ("inputs", "targets", "weights", "segments"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is b is None) or np.array_equal(a, b), name


def test_a_batch_that_devices_cannot_share(samples: Samples) -> None:
    with pytest.raises(UserError, match=r"a batch of 4 cannot be shared by 3 devices; make .* a multiple of 3"):
        samples.batch(0, 0, 3)


def test_micro_batches_are_as_long_as_their_longest_row(either: Samples) -> None:
    for seen in range(0, either.epoch_samples, BATCH_SIZE):
        batch = either.batch(seen)
        parts = batch.split(3)
        assert [len(part.targets) for part in parts] == [3, 1]
        assert sum(part.tokens for part in parts) == batch.tokens
        for part, rows in zip(parts, (range(3), range(3, 4)), strict=True):
            assert part.targets.shape[1] == max((batch.targets[row] != PAD).sum() for row in rows)
            whole = Batch(
                *(
                    a if a is None else a[rows.start : rows.stop, : part.targets.shape[1]]
                    for a in (batch.inputs, batch.targets, batch.weights, batch.segments)
                )
            )
            assert_equal(part, whole)
        assert batch.padding == pytest.approx((batch.targets == PAD).mean())


# --- epochs and resume -------------------------------------------------------------------------------------------


def test_batches_of_later_epochs_are_as_full_as_those_of_the_first(tokenizer: Tokenizer) -> None:
    """Rows that make no whole batch are left out: they would shift all that follow against the batches of like length."""
    rng = np.random.default_rng(0)
    offsets = np.cumsum([0, *rng.integers(SHORTEST, CONTEXT, 42 * BATCH_SIZE + 3)])
    shard = Shard(rng.integers(7, tokenizer.sentinels.first, offsets[-1]).astype(np.uint16), offsets, "", "")
    samples = make(shard, tokenizer)
    assert samples.epoch_samples == 42 * BATCH_SIZE

    def padding(epoch: int) -> float:
        return float(np.mean([samples.batch((epoch * 42 + i) * BATCH_SIZE).padding for i in range(42)]))

    first = padding(0)
    assert 0 < first < 0.1
    assert max(padding(1), padding(2), padding(3)) < 1.3 * first


def test_a_state_goes_through_json(samples: Samples) -> None:
    state = samples.state(samples.epoch_samples + 5)
    assert state == LoaderState(samples.epoch_samples + 5, 1, 1, samples.fingerprint)
    assert LoaderState.from_dict(json.loads(json.dumps(state.to_dict()))) == state


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 2}, "was started with seed 1, not 2"),
        ({"batch_size": 8}, "what decides the order of samples changed"),
        ({"context": 65}, "what decides the order of samples changed"),
        ({"editor_share": 0.4}, "what decides the order of samples changed"),
        ({"editor": EditorSpans(block=0.5)}, "what decides the order of samples changed"),
        ({"rows": "packed"}, "what decides the order of samples changed"),
        ({"rows": "neighbours"}, "what decides the order of samples changed"),
        ({"spans": SpanDistribution(overlap="redraw")}, "what decides the order of samples changed"),
    ],
)
def test_a_state_of_other_options_is_refused(
    samples: Samples, shard: Shard, tokenizer: Tokenizer, changes: dict[str, object], said: str
) -> None:
    state = samples.state(40)
    make(shard, tokenizer).check(state)
    with pytest.raises(UserError, match=said) as error:
        make(shard, tokenizer, **changes).check(state)
    assert "\n" not in str(error.value)


def test_a_state_of_other_data_is_refused(samples: Samples, shard: Shard, tokenizer: Tokenizer) -> None:
    for changes in ({"sha256": "other"}, {"tokenizer_sha256": "other"}, {"offsets": shard.offsets[:-1]}):
        with pytest.raises(UserError, match="the data changed since the run was started"):
            make(replace(shard, **changes), tokenizer).check(samples.state(40))


# --- little data -------------------------------------------------------------------------------------------------


def test_less_data_than_a_batch(shard: Shard, tokenizer: Tokenizer) -> None:
    """For training an error; validation may take all there is, and devices without a row get one that weighs nothing."""
    little = replace(shard, offsets=shard.offsets[:2], name="little")
    count = len(cut_blocks(little.offsets, CONTEXT))
    with pytest.raises(UserError, match=f"little has {count} blocks, fewer than one batch of 999; add data"):
        make(little, tokenizer, batch_size=999)
    samples = make(little, tokenizer, batch_size=999, shrink=True)
    assert samples.batch_size == samples.epoch_samples == count
    whole, world = samples.batch(0), count - 1
    shares = [samples.batch(0, rank, world) for rank in range(world)]
    assert {len(share.targets) for share in shares} == {2}
    assert sum(share.tokens for share in shares) == whole.tokens
    assert sum(share.weights.sum() for share in shares) == whole.weights.sum()
    assert all((share.inputs[:, 0] == BOS).all() for share in shares)
    with pytest.raises(UserError, match="little has 0 blocks, fewer than one; add data"):
        make(replace(little, offsets=np.array([0, 3])), tokenizer, shrink=True)
