"""The engine: tokens in, scores of the next token out. It knows what the cache holds and reuses it; it knows no text.

Between calls the cache keeps the last prompt and what was generated after it. A new prompt costs only the tokens after the
longest common prefix, so a prompt whose beginning stays the same while a person types costs what was typed. How a network
is run, and where its keys and values lie, is the evaluator's business (`torch_evaluator` is one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

CHUNK = 128  # tokens of a prompt between two looks at the stop flag

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

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        ...


class Engine:
    """Prefill and step over an evaluator. For one thread."""

    def __init__(self, evaluator: Evaluator):
        self._evaluator = evaluator
        self._held: list[int] = []  # the tokens whose keys and values the evaluator holds
        self.context = evaluator.context
        self.evaluated = 0  # tokens that went through the network so far: what all requests have really cost

    def prefill(self, tokens: Sequence[int], stop: Stop = never) -> np.ndarray:
        """The scores after `tokens`, at least one: (vocab_size,) float32 logits.

        Raises Stopped when `stop` is up; what was computed until then is kept for the next call.
        """
        if not 0 < len(tokens) <= self.context:
            raise ValueError(f"a prompt has between 1 and {self.context} tokens, this one has {len(tokens)}")
        # Scores are not kept, so the last token is evaluated even if the cache holds it.
        length = min(common_prefix(self._held, tokens), len(tokens) - 1)
        del self._held[length:]
        self._evaluator.truncate(length)
        scores = np.empty(0, np.float32)
        while len(self._held) < len(tokens):
            if stop():
                raise Stopped
            scores = self._evaluate(tokens[len(self._held) : len(self._held) + CHUNK])
        return scores

    def step(self, token: int) -> np.ndarray:
        """The scores after one more token."""
        return self._evaluate([token])

    def _evaluate(self, tokens: Sequence[int]) -> np.ndarray:
        scores = self._evaluator.evaluate(tokens)
        self._held += tokens
        self.evaluated += len(tokens)
        return scores


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens `a` and `b` share at their beginning."""
    shared = min(len(a), len(b))
    if list(a[:shared]) == list(b[:shared]):  # the usual case, at the speed of C
        return shared
    return next(i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
