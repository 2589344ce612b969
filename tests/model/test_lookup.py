"""Prompt lookup changes no score, only how many passes they take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.engine import Engine
from incoder_model.lookup import LONGEST_GUESS, Lookup

CONTEXT, VOCABULARY = 64, 6


class Whim:
    """An evaluator whose scores depend on its last two tokens, so that it repeats itself."""

    context = CONTEXT

    def __init__(self, seed: int = 0) -> None:
        self.held: list[int] = []
        self._table = np.random.default_rng(seed).normal(size=(VOCABULARY, VOCABULARY, VOCABULARY)).astype(np.float32)

    def evaluate(self, tokens: Sequence[int]) -> np.ndarray:
        return self.evaluate_each(tokens)[-1]

    def evaluate_each(self, tokens: Sequence[int]) -> np.ndarray:
        rows = []
        for token in tokens:
            self.held.append(token)
            rows.append(self._table[self.held[-2] if len(self.held) > 1 else 0, token])
        assert len(self.held) <= self.context
        return np.stack(rows)

    def truncate(self, length: int) -> None:
        del self.held[length:]


@given(
    seed=st.integers(0, 50),
    prompt=st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=30),
    ends=st.sets(st.integers(0, VOCABULARY - 1)),
    most=st.integers(1, 30),
    surprise=st.lists(st.integers(0, VOCABULARY - 1), max_size=30),
)
def test_scores_are_those_of_one_token_at_a_time(
    seed: int, prompt: list[int], ends: set[int], most: int, surprise: list[int]
) -> None:
    """Whatever is chosen: the likeliest, or, where there is a surprise, that."""
    memory, plain = Whim(seed), Engine(Whim(seed))
    engine = Engine(memory)
    lookup = Lookup(engine, prompt, ends)
    ours, theirs = engine.prefill(prompt), plain.prefill(prompt)
    said: list[int] = []
    while len(said) < most:
        assert ours.tolist() == theirs.tolist()
        said.append(surprise[len(said)] if len(said) < len(surprise) else int(theirs.argmax()))
        ours, theirs = lookup.step(said[-1], most - len(said)), plain.step(said[-1])
    lookup.close()
    assert memory.held == prompt + said
    assert engine.passes <= plain.passes


def test_what_repeats_takes_fewer_passes() -> None:
    memory = Whim()
    engine = Engine(memory)
    text = [0, 1, 2, 3, 4, 5] * 4
    lookup = Lookup(engine, text, ends=())
    engine.prefill(text)
    for token in [0, 1, 2, 3, 4, 5] * 4:
        lookup.step(token, 24)
    assert engine.passes - 1 <= 6


@pytest.mark.parametrize(
    ("ends", "most", "guessed"), [((), 30, 2), ((4,), 30, 1), ((3,), 30, 0), ((), 2, 1), ((), 1, 0)]
)
def test_nothing_is_guessed_beyond_the_end(ends: tuple[int, ...], most: int, guessed: int) -> None:
    engine = Engine(Whim())
    engine.prefill([1, 2, 3, 4, 5, 0, 1])
    Lookup(engine, [1, 2, 3, 4, 5, 0, 1], ends).step(2, most)
    assert engine.evaluated == 7 + 1 + guessed


def test_a_guess_stays_within_the_context() -> None:
    engine = Engine(Whim())
    text = ([0, 1, 2, 3, 4, 5] * CONTEXT)[:CONTEXT]
    lookup = Lookup(engine, text[: CONTEXT - LONGEST_GUESS], ends=())
    engine.prefill(text[: CONTEXT - LONGEST_GUESS])
    for token in text[CONTEXT - LONGEST_GUESS :]:
        lookup.step(token, 1000)
    assert engine.room == 0
