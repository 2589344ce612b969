"""Batches made ahead: the same ones in the same order, an error that arrives, and no thread that stays behind."""

import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from incoder_model.causal_mask import SpanDistribution
from incoder_model.tokenizer import Tokenizer
from incoder_train.errors import UserError
from incoder_train.tokens.batches import Samples
from incoder_train.tokens.prefetch import Prefetch
from incoder_train.tokens.shards import Tokens, open_shard


@pytest.fixture
def samples(data_directory: Path, tokenizer: Tokenizer) -> Samples:
    shard = open_shard(data_directory / "train")
    return Samples(shard, tokenizer, context=64, batch_size=4, seed=1, spans=SpanDistribution(), editor_share=0.5)


@pytest.mark.parametrize("depth", [1, 3])
def test_the_batches_in_their_order(samples: Samples, depth: int) -> None:
    with Prefetch(samples, 12, rank=1, world=2, depth=depth) as batches:
        for i, batch in enumerate(islice(batches, 10)):
            assert np.array_equal(batch.targets, samples.batch(12 + 4 * i, rank=1, world=2).targets)
        assert 0 < batches.waited < 60
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())
    with pytest.raises(StopIteration):
        next(batches)


def test_closing_before_anything_was_taken(samples: Samples) -> None:
    for _ in range(20):
        Prefetch(samples, 0, depth=1).close()
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())


def test_an_error_is_raised_every_time(samples: Samples) -> None:
    with Prefetch(samples, 0, rank=0, world=3) as batches:
        for _ in range(2):
            with pytest.raises(UserError, match="a batch of 4 cannot be shared by 3 devices"):
                next(batches)
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())


class Breaking:
    """The tokens of a disk that fails after so many reads."""

    def __init__(self, tokens: Tokens, reads: int):
        self.tokens, self.reads = tokens, reads

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, which: slice) -> np.ndarray:
        self.reads -= 1
        if self.reads < 0:
            raise OSError("the disk is gone")
        return self.tokens[which]


def test_batches_before_an_error_are_still_given(samples: Samples) -> None:
    expected = [samples.batch(4 * i).targets for i in range(3)]
    samples.tokens = Breaking(samples.tokens, reads=14)  # three batches and a half
    with Prefetch(samples, 0) as batches:
        for targets in expected:
            assert np.array_equal(next(batches).targets, targets)
        with pytest.raises(OSError, match="the disk is gone"):
            next(batches)
