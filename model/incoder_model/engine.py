"""The engine: tokens in, scores of the next token out. It knows what its caches hold and reuses it; it knows no text.

Between calls a cache keeps the last prompt and what was generated after it. A new prompt costs only the tokens after the
longest common prefix, so a prompt whose beginning stays the same while a person types costs what was typed. A person goes
from one place to another and back: where the evaluator can be had several times, a few sequences are kept, and a prompt
goes on with the one that it shares most with. How a network is run, and where its keys and values lie, is the evaluator's
business (`torch_evaluator` is one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from incoder_model.config import ModelConfig

CHUNK = 128  # tokens of a prompt between two looks at the stop flag
MOST_SEQUENCES = 4  # kept at a time
SEQUENCES_BYTES = 256 << 20  # for the keys and values of all of them; a single one may take more

Stop = Callable[[], bool]


def never() -> bool:
    return False


class Stopped(Exception):  # noqa: N818 - not an error: the caller asked for it
    """The stop flag was up."""


class Evaluator(Protocol):
    """One sequence going through a network that remembers it."""

    context: int  # tokens that the memory has room for

    def evaluate(self, tokens: Sequence[int]) -> np.ndarray:
        """Append `tokens` to the sequence; the scores after the last one, (vocab_size,) float32 logits."""
        ...

    def evaluate_each(self, tokens: Sequence[int]) -> np.ndarray:
        """Append `tokens` to the sequence; the scores after each of them, (len(tokens), vocab_size) float32 logits."""
        ...

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        ...


class Branches(Protocol):
    """Several sequences with one beginning, a token of each at a time."""

    def step(self, tokens: Sequence[int]) -> np.ndarray:
        """One more token for each, (rows,); the scores after it, (rows, vocab_size) float32 logits."""
        ...


@runtime_checkable
class Branching(Protocol):
    """An evaluator that can go on in several ways at once."""

    def branch(self, rows: int, room: int) -> Branches:
        """`rows` copies of its sequence, for `room` tokens at most."""
        ...


@dataclass
class _Sequence:
    evaluator: Evaluator
    held: list[int] = field(default_factory=list)  # the tokens whose keys and values the evaluator holds

    def keep(self, length: int) -> None:
        del self.held[length:]
        self.evaluator.truncate(length)


class Engine:
    """Prefill and step over an evaluator. For one thread.

    another: makes a further evaluator of the same network; with it, up to `sequences` are kept.
    """

    def __init__(self, evaluator: Evaluator, another: Callable[[], Evaluator] | None = None, sequences: int = 1):
        self._another = another
        self._most = sequences if another else 1
        self._sequences = [_Sequence(evaluator)]  # the last used one first
        self.context = evaluator.context
        self.evaluated = 0  # tokens that went through the network so far: what all requests have really cost
        self.passes = 0  # in how many goes

    @property
    def room(self) -> int:
        """How many more tokens the sequence can take."""
        return self.context - len(self._sequences[0].held)

    def prefill(self, tokens: Sequence[int], stop: Stop = never, chunk: int = CHUNK) -> np.ndarray:
        """The scores after `tokens`, at least one: (vocab_size,) float32 logits.

        Raises Stopped when `stop`, which is looked at every `chunk` tokens, is up; what was computed until then is kept for
        the next call.
        """
        if not 0 < len(tokens) <= self.context:
            raise ValueError(f"a prompt has between 1 and {self.context} tokens, this one has {len(tokens)}")
        sequence = self._sequence_for(tokens)
        # Scores are not kept, so the last token is evaluated even if the cache holds it.
        sequence.keep(min(common_prefix(sequence.held, tokens), len(tokens) - 1))
        scores = np.empty(0, np.float32)
        while len(sequence.held) < len(tokens):
            if stop():
                raise Stopped
            new = tokens[len(sequence.held) : len(sequence.held) + chunk]
            scores = sequence.evaluator.evaluate(new)
            self._count(new)
        return scores

    def step(self, token: int) -> np.ndarray:
        """The scores after one more token."""
        scores = self._sequences[0].evaluator.evaluate([token])
        self._count([token])
        return scores

    def step_each(self, tokens: Sequence[int]) -> np.ndarray:
        """The scores after each of some more tokens, evaluated in one go: (len(tokens), vocab_size)."""
        scores = self._sequences[0].evaluator.evaluate_each(tokens)
        self._count(tokens)
        return scores

    def branch(self, rows: int, room: int) -> Branches | None:
        """See `Branching.branch`; what is held stays as it is. None where the evaluator cannot. Who steps adds to `evaluated`."""
        evaluator = self._sequences[0].evaluator
        return evaluator.branch(rows, room) if isinstance(evaluator, Branching) else None

    def take_back(self, count: int) -> None:
        """Forget the last `count` tokens."""
        sequence = self._sequences[0]
        sequence.keep(len(sequence.held) - count)

    def _count(self, tokens: Sequence[int]) -> None:
        self._sequences[0].held += tokens
        self.evaluated += len(tokens)
        self.passes += 1

    def _sequence_for(self, tokens: Sequence[int]) -> _Sequence:
        """The sequence that `tokens` go on with, from now on the first: the one with most in common, or, where that would lose
        more than it spares, a new one or the one that was not used for longest."""
        shared = [common_prefix(sequence.held, tokens) for sequence in self._sequences]
        which = max(range(len(shared)), key=shared.__getitem__)
        if len(self._sequences[which].held) > 2 * shared[which]:
            if self._another and len(self._sequences) < self._most:
                self._sequences.append(_Sequence(self._another()))
            which = len(self._sequences) - 1
        self._sequences.insert(0, self._sequences.pop(which))
        return self._sequences[0]


def affordable_sequences(config: ModelConfig, number_bytes: int) -> int:
    """How many sequences of this network an engine may keep, keys and values being numbers of so many bytes."""
    one = 2 * config.layers * config.context * config.d_model * number_bytes
    return max(1, min(MOST_SEQUENCES, SEQUENCES_BYTES // one))


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens `a` and `b` share at their beginning."""
    shared = min(len(a), len(b))
    if list(a[:shared]) == list(b[:shared]):  # the usual case, at the speed of C
        return shared
    return next(i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
