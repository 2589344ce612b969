"""From a shard to batches. Read this file to know what the model sees, and in which order.

    shard -> blocks     a document is cut into blocks of at most `context` tokens; no block crosses a document (blocks.py)
          -> rows       a block in each row, or several (rows.py), or one behind a piece of a file nearby (neighbours.py)
          -> order      each epoch shuffles the rows, then gathers those of like length, so that little is padding (order.py)
          -> sequences  each block of a row is masked; its spans are a pure function of (seed, sample index) (masking.py)
          -> batch      inputs are <|endoftext|> and the sequence but its last token, targets the sequence

A sample is a row. Sample i of a run is always the same, whoever asks for it, in whatever order and how often. So all that a
run must remember of its data is how many samples it has seen. Batches are global: a device takes its share of the rows, so
the same rows make an update however many devices there are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from incoder_model import causal_mask
from incoder_model.causal_mask import Sentinels, SpanDistribution
from incoder_model.tokenizer import BOS, PAD, Tokenizer
from incoder_train.errors import UserError
from incoder_train.tokens.blocks import cut_blocks
from incoder_train.tokens.masking import mask_as_editor, mask_block
from incoder_train.tokens.neighbours import open_neighbours
from incoder_train.tokens.order import Rng, epoch_order, rng_for
from incoder_train.tokens.rows import packed, room, single
from incoder_train.tokens.shards import Shard
from incoder_train.tokens.spans import EditorSpans, read_lexicon

ORDER = 3  # counts the changes of this code after which the same options give other samples

EDITOR = EditorSpans()

Sequences = list[np.ndarray]  # the masked blocks of a row, one after the other


@dataclass(frozen=True)
class Batch:
    inputs: np.ndarray  # (batch, time) int64
    targets: np.ndarray  # (batch, time) int64
    weights: np.ndarray  # (batch, time) float32: 0 for sentinels and padding
    segments: np.ndarray | None = None  # (batch, time) int32: which block of its row a token belongs to; padding is one

    @property
    def tokens(self) -> int:
        """Tokens that are no padding, the sentinels included."""
        return int((self.targets != PAD).sum())

    @property
    def padding(self) -> float:
        """The share of padding."""
        return 1 - self.tokens / self.targets.size

    def split(self, rows: int) -> list[Batch]:
        """Micro-batches of `rows` rows, the last one maybe of fewer, each as long as its longest row."""
        return [self._rows(first, first + rows) for first in range(0, len(self.targets), rows)]

    def _rows(self, first: int, end: int) -> Batch:
        filled = (self.targets[first:end] != PAD).any(axis=0)
        time = max(1, int(filled.sum()))  # padding goes to the right
        arrays = (self.inputs, self.targets, self.weights, self.segments)
        return Batch(*(a if a is None else a[first:end, :time] for a in arrays))  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class LoaderState:
    """Where a run stands in its data. The order is a function of it alone, whatever the number of devices."""

    samples_seen: int
    seed: int
    epoch: int
    fingerprint: str

    def to_dict(self) -> dict[str, int | str]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LoaderState:
        """Raises TypeError when a value is missing or unknown."""
        return cls(**values)


class Samples:
    """The endless, reproducible sequence of a run's training samples.

    shrink: with less data than one batch, take all of it as the batch, as validation may; otherwise that is a UserError.
    """

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
        editor: EditorSpans = EDITOR,
        rows: Literal["blocks", "packed", "neighbours"] = "blocks",
        shrink: bool = False,
    ):
        self.tokens, self.context, self.seed, self.shrink = shard.tokens, context, seed, shrink
        self.sentinels, self.spans, self.editor_share = tokenizer.sentinels, spans, editor_share
        self.editor, self.lexicon = editor, read_lexicon(tokenizer)
        self.neighbours = open_neighbours(shard, self.lexicon, context) if rows == "neighbours" else None
        blocks = self.neighbours.blocks() if self.neighbours else cut_blocks(shard.offsets, context)
        self.is_packed = rows == "packed"
        self.rows = packed(blocks, context, seed) if self.is_packed else single(blocks)
        if len(self.rows) < (1 if shrink else batch_size):
            wanted = "one" if shrink else f"one batch of {batch_size}"
            unit = "rows" if self.is_packed else "blocks"
            raise UserError(f"{shard.name} has {len(self.rows)} {unit}, fewer than {wanted}; add data")
        self.batch_size = min(batch_size, len(self.rows))
        self.epoch_samples = len(self.rows) // self.batch_size * self.batch_size
        options = {
            "order": ORDER,
            "context": context,
            "batch_size": self.batch_size,
            "spans": asdict(spans),
            "editor_share": editor_share,
            "editor": asdict(editor),
            "rows": rows,
            "packages": _digest_of(self.neighbours.packages) if self.neighbours else None,
        }
        data = (
            shard.sha256,
            shard.tokenizer_sha256,
            _digest_of(shard.offsets),
        )
        self.fingerprint = f"{_digest(data)}-{_digest(options)}"
        self._order: Callable[[int], np.ndarray] = lru_cache(2)(self._epoch_order)

    def batch(self, samples_seen: int, rank: int = 0, world: int = 1) -> Batch:
        """The rows that device `rank` of `world` takes of the batch that follows `samples_seen` samples.

        It takes every `world`-th row: rows of a batch go from short to long, so the devices have like work. Raises
        UserError when `world` does not divide the batch. A batch that shrank is filled up with empty rows, which weigh
        nothing.
        """
        if self.batch_size % world and not self.shrink:
            raise UserError(
                f"a batch of {self.batch_size} cannot be shared by {world} devices; "
                f"make [run] batch_size a multiple of {world}"
            )
        shares = -(-self.batch_size // world)
        mine = range(samples_seen + rank, samples_seen + self.batch_size, world)
        rows = [self.row(index) for index in mine]
        return collate([*rows, *[[]] * (shares - len(rows))], self.sentinels, segmented=self.is_packed)

    def row(self, index: int) -> Sequences:
        """The masked blocks of sample `index`, together at most `context` tokens."""
        epoch, place = divmod(index, self.epoch_samples)
        row = int(self._order(epoch)[place])
        rng = rng_for(self.seed, index)
        which = slice(self.rows.first[row], self.rows.first[row + 1])
        starts, lengths = self.rows.blocks.starts[which].tolist(), self.rows.blocks.lengths[which].tolist()
        budget = self.context - sum(int(room(length, self.context)) for length in lengths)
        sequences: Sequences = []
        for start, length in zip(starts, lengths, strict=True):
            budget += int(room(length, self.context))  # what one block leaves of its room is the next one's
            sequences.append(self._masked(self._text(start, length, rng), budget, rng))
            budget -= len(sequences[-1])
        return sequences

    def state(self, samples_seen: int) -> LoaderState:
        return LoaderState(samples_seen, self.seed, samples_seen // self.epoch_samples, self.fingerprint)

    def check(self, state: LoaderState) -> None:
        """Raises UserError when the samples that follow `state` are not those that its run would have seen."""
        if state.seed != self.seed:
            raise UserError(f"the run was started with seed {state.seed}, not {self.seed}; resume with that seed")
        for then, now, what in zip(
            state.fingerprint.split("-"), self.fingerprint.split("-"), ("data", "options"), strict=False
        ):
            if then != now:
                raise UserError(CHANGED[what])
        if state.fingerprint != self.fingerprint:
            raise UserError(CHANGED["options"])

    def _text(self, start: int, length: int, rng: Rng) -> np.ndarray:
        return self.neighbours.text(start, length, rng) if self.neighbours else self.tokens[start : start + length]

    def _masked(self, block: np.ndarray, budget: int, rng: Rng) -> np.ndarray:
        if rng.random() < self.editor_share:
            return mask_as_editor(block, rng, self.sentinels, budget=budget, lexicon=self.lexicon, how=self.editor)
        return mask_block(block, rng, self.sentinels, budget=budget, how=self.spans)

    def _epoch_order(self, epoch: int) -> np.ndarray:
        return epoch_order(self.rows.sizes, self.batch_size, self.seed, epoch)


CHANGED = {
    "data": "the data changed since the run was started (other tokens or another tokenizer); "
    "resume with the data of then, or start a new run",
    "options": "what decides the order of samples changed since the run was started (batch_size, or context, rows, spans, "
    "editor or editor_share in [data]); resume with the options of then, or start a new run",
}


def pad(sequences: Sequence[Sequence[int] | np.ndarray], sentinels: Sentinels) -> Batch:
    """A batch of one sequence in each row."""
    return collate([[np.asarray(sequence)] for sequence in sequences], sentinels, segmented=False)


def collate(rows: list[Sequences], sentinels: Sentinels, *, segmented: bool) -> Batch:
    """Padding goes to the right, where causal attention never looks back from. Each sequence has a <|endoftext|> before it."""
    time = max(1, *(sum(map(len, row)) for row in rows))
    targets = np.full((len(rows), time), PAD, np.int64)
    segments = np.zeros((len(rows), time), np.int32)
    for r, row in enumerate(rows):
        end = 0
        for k, sequence in enumerate(row):
            start, end = end, end + len(sequence)
            targets[r, start:end], segments[r, start:end] = sequence, k
        segments[r, end:] = len(row)
    inputs = np.roll(targets, 1, axis=1)
    inputs[:, 0] = BOS
    if segmented:
        inputs[:, 1:][np.diff(segments, axis=1) > 0] = BOS
    weights = (targets != PAD) * causal_mask.loss_weights(targets, sentinels)
    return Batch(inputs, targets, weights, segments if segmented else None)


def padding_waste(samples: Samples, batches: int) -> float:
    """The share of padding in the first `batches` batches."""
    seen = [samples.batch(i * samples.batch_size) for i in range(batches)]
    return 1 - sum(batch.tokens for batch in seen) / sum(batch.targets.size for batch in seen)


def _digest_of(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
