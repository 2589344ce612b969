"""From a shard to batches. Read this file to know what the model sees, and in which order.

    shard -> blocks     a document is cut into blocks of at most `context` tokens; no block crosses a document
          -> order      each epoch shuffles the blocks, then gathers those of like length, so that little is padding
          -> sequence   a block is masked; its spans are a pure function of (seed, sample index)
          -> batch      inputs are <|endoftext|> and the sequence but its last token, targets the sequence

Sample i of a run is always the same sequence, whoever asks for it, in whatever order and how often. So all that a run must
remember of its data is how many samples it has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from incoder_model import causal_mask
from incoder_model.causal_mask import Sentinels, SpanDistribution
from incoder_model.tokenizer import BOS, PAD, Tokenizer
from incoder_train.tokens.shards import Shard
from incoder_train.tokens.spans import editor_span

SHORTEST = 16  # tokens; a shorter rest of a document teaches nothing
WINDOW = 64  # batches among which blocks of like length are gathered

Rng = np.random.Generator


@dataclass(frozen=True)
class Batch:
    inputs: np.ndarray  # (batch, time) int64
    targets: np.ndarray  # (batch, time) int64
    weights: np.ndarray  # (batch, time) float32: 0 for sentinels and padding

    @property
    def tokens(self) -> int:
        """Tokens that are no padding, the sentinels included."""
        return int((self.targets != PAD).sum())


class Samples:
    """The endless, reproducible sequence of a run's training samples."""

    def __init__(
        self,
        shard: Shard,
        tokenizer: Tokenizer,
        *,
        context: int,
        batch_size: int,
        seed: int,
        spans: SpanDistribution,
        editor_share: float,
    ):
        self.shard, self.context, self.batch_size, self.seed = shard, context, batch_size, seed
        self.sentinels, self.spans, self.editor_share = tokenizer.sentinels, spans, editor_share
        self.is_newline = np.zeros(tokenizer.vocab_size, bool)
        self.is_newline[list(tokenizer.newlines)] = True
        self.blocks = cut_blocks(shard.offsets, context)  # (blocks, 2): start, end
        self._order: Callable[[int], np.ndarray] = lru_cache(2)(self._epoch_order)

    def batch(self, samples_seen: int) -> Batch:
        """The batch that follows `samples_seen` samples."""
        indices = range(samples_seen, samples_seen + self.batch_size)
        return pad([self.sequence(index) for index in indices], self.sentinels)

    def sequence(self, index: int) -> list[int]:
        """The masked token ids of sample `index`, at most `context` of them."""
        epoch, place = divmod(index, len(self.blocks))
        start, end = self.blocks[self._order(epoch)[place]]
        return self._masked(self.shard.tokens[start:end], rng_for(self.seed, index))

    def _masked(self, block: np.ndarray, rng: Rng) -> list[int]:
        if rng.random() < self.editor_share:
            block = block[: self.context - 3]
            span = editor_span(self.is_newline[block], rng)
            return causal_mask.mask(block.tolist(), [span] if span else [], self.sentinels)
        return causal_mask.mask_block(block.tolist(), rng, self.sentinels, budget=self.context, how=self.spans)

    def _epoch_order(self, epoch: int) -> np.ndarray:
        """(blocks,) the order of the blocks in one epoch: shuffled, but neighbours in a batch are of like length."""
        rng = rng_for(self.seed, epoch, stream=1)
        order = rng.permutation(len(self.blocks))
        lengths = self.blocks[:, 1] - self.blocks[:, 0]
        batches: list[np.ndarray] = []
        for first in range(0, len(order), WINDOW * self.batch_size):
            window = order[first : first + WINDOW * self.batch_size]
            window = window[np.argsort(lengths[window], kind="stable")]
            batches += [window[i : i + self.batch_size] for i in range(0, len(window), self.batch_size)]
        return np.concatenate([batches[i] for i in rng.permutation(len(batches))])


def rng_for(seed: int, index: int, stream: int = 0) -> Rng:
    """Random numbers that depend on these three numbers and nothing else."""
    return np.random.Generator(np.random.Philox(key=[seed, stream], counter=[0, 0, 0, index]))


def cut_blocks(offsets: np.ndarray, context: int) -> np.ndarray:
    """(blocks, 2) int64: the [start, end) of every block of every document, in order."""
    blocks = []
    for start, end in pairwise(offsets):
        starts = np.arange(start, end, context)
        blocks.append(np.stack([starts, np.minimum(starts + context, end)], axis=1))
    cut = np.concatenate(blocks) if blocks else np.empty((0, 2), np.int64)
    return cut[cut[:, 1] - cut[:, 0] >= SHORTEST]


def pad(sequences: list[list[int]], sentinels: Sentinels) -> Batch:
    """Padding goes to the right, where causal attention never looks back from."""
    time = max(map(len, sequences))
    targets = np.full((len(sequences), time), PAD, np.int64)
    for row, sequence in zip(targets, sequences, strict=True):
        row[: len(sequence)] = sequence
    inputs = np.roll(targets, 1, axis=1)
    inputs[:, 0] = BOS
    return Batch(inputs, targets, (targets != PAD) * causal_mask.loss_weights(targets, sentinels))
