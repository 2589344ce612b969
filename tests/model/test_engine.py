"""The engine's cache: whatever was asked before, the scores are those of the tokens alone; and what a request costs."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.config import PRESETS
from incoder_model.engine import CHUNK, MOST_SEQUENCES, Engine, Stopped, affordable_sequences, common_prefix, never

CONTEXT = 400


class Memory:
    """An evaluator whose scores say all that it remembers."""

    context = CONTEXT

    def __init__(self) -> None:
        self.held: list[int] = []

    def evaluate(self, tokens: Sequence[int]) -> np.ndarray:
        assert tokens
        self.held += tokens
        assert len(self.held) <= self.context
        return np.array(self.held, np.float32)

    def evaluate_each(self, tokens: Sequence[int]) -> np.ndarray:
        rows = np.full((len(tokens), self.context), -1, np.float32)
        for row, token in zip(rows, tokens, strict=True):
            self.evaluate([token])
            row[: len(self.held)] = self.held
        return rows

    def truncate(self, length: int) -> None:
        assert length <= len(self.held)
        del self.held[length:]


token_lists = st.lists(st.integers(0, 2), min_size=1, max_size=8)


@given(st.data())
def test_scores_are_those_of_the_tokens_alone(data: st.DataObject) -> None:
    """Prompts with long beginnings in common, some stopped on the way, some followed by steps."""
    engine = Engine(Memory())
    for _ in range(data.draw(st.integers(1, 6))):
        shared = data.draw(st.integers(0, CONTEXT - 16))
        tokens = [*(data.draw(token_lists) * CONTEXT)[:shared], *data.draw(token_lists)]
        chunks = data.draw(st.integers(0, 5))
        looks = iter([False] * chunks)
        try:
            assert engine.prefill(tokens, stop=lambda looks=looks: next(looks, True)).tolist() == tokens
        except Stopped:
            continue
        for token in data.draw(st.lists(st.integers(0, 2), max_size=4)):
            tokens = [*tokens, token]
            assert engine.step(token).tolist() == tokens


def test_a_prompt_costs_what_is_new_in_it() -> None:
    engine = Engine(Memory())

    def cost(tokens: list[int]) -> int:
        before = engine.evaluated
        engine.prefill(tokens)
        return engine.evaluated - before

    assert cost([1, 2, 3, 4]) == 4
    assert cost([1, 2, 3, 4, 5, 6]) == 2
    assert cost([1, 2, 3, 4, 5, 6]) == 1  # the last one again, for its scores
    assert cost([1, 2, 9]) == 1
    engine.step(7)
    assert cost([1, 2, 9, 7, 8]) == 1  # what was generated counts as held
    assert cost([5]) == 1
    assert engine.evaluated == 4 + 2 + 1 + 1 + 1 + 1 + 1


def test_the_stop_flag_is_looked_at_before_every_chunk() -> None:
    memory = Memory()
    engine = Engine(memory)
    tokens = [0] * (2 * CHUNK + 5)
    asked = []

    def stop() -> bool:
        asked.append(len(memory.held))
        return len(asked) == 3

    with pytest.raises(Stopped):
        engine.prefill(tokens, stop)
    assert asked == [0, CHUNK, 2 * CHUNK]
    engine.prefill(tokens)
    assert engine.evaluated == len(tokens)  # nothing of the stopped one was lost
    with pytest.raises(Stopped):
        engine.prefill([1], stop=lambda: True)
    assert engine.evaluated == len(tokens)
    assert never() is False


@pytest.mark.parametrize("count", [0, CONTEXT + 1])
def test_a_prompt_that_does_not_fit_is_refused(count: int) -> None:
    engine = Engine(Memory())
    with pytest.raises(ValueError, match=f"between 1 and {CONTEXT} tokens, this one has {count}"):
        engine.prefill([0] * count)
    assert engine.evaluated == 0


def test_a_failure_while_evaluating_is_forgotten() -> None:
    class Failing(Memory):
        fail = False

        def evaluate(self, tokens: Sequence[int]) -> np.ndarray:
            if self.fail:
                raise MemoryError
            return super().evaluate(tokens)

    memory = Failing()
    engine = Engine(memory)
    engine.prefill([1, 2])
    memory.fail = True
    with pytest.raises(MemoryError):
        engine.prefill([1, 2, 3])
    memory.fail = False
    assert engine.prefill([1, 2, 3]).tolist() == [1, 2, 3]


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_prefix(a: list[int], b: list[int]) -> None:
    n = common_prefix(a, b)
    assert a[:n] == b[:n]
    assert n == min(len(a), len(b)) or a[n] != b[n]


# --- several sequences -------------------------------------------------------------------------------------------


def test_going_back_to_another_text_costs_nothing() -> None:
    engine = Engine(Memory(), Memory, 2)
    first, second, third = [1] * 50, [2] * 50, [0] * 50
    for tokens, cost in [(first, 50), (second, 50), (first, 1), (second, 1), (third, 50), (second, 1), (first, 50)]:
        before = engine.evaluated
        assert engine.prefill(tokens).tolist()[:50] == tokens
        assert engine.evaluated - before == cost


def test_going_on_with_a_text_does_not_use_up_another_sequence() -> None:
    made: list[Memory] = []

    def another() -> Memory:
        made.append(Memory())
        return made[-1]

    engine = Engine(Memory(), another, 3)
    for length in range(20, 40):
        engine.prefill([1] * length + [2] * 10)
    assert not made
    engine.prefill([2] * 30)
    engine.prefill([0] * 30)
    engine.prefill([3] * 30)
    assert len(made) == 2


@given(st.data())
def test_with_several_sequences_scores_are_those_of_the_tokens_alone(data: st.DataObject) -> None:
    engine = Engine(Memory(), Memory, data.draw(st.integers(1, 3)))
    for _ in range(data.draw(st.integers(1, 8))):
        tokens = data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=12))
        assert engine.prefill(tokens)[: len(tokens)].tolist() == tokens
        said = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=4))
        rows = engine.step_each(said)
        for i in range(len(said)):
            so_far = [*tokens, *said[: i + 1]]
            assert rows[i, : len(so_far)].tolist() == so_far
        engine.take_back(data.draw(st.integers(0, len(said))))
        assert engine.room >= CONTEXT - len(tokens) - len(said)


def test_sequences_are_as_many_as_memory_allows() -> None:
    small, large = PRESETS["small-4m"], PRESETS["incoder-6.7b"]
    assert affordable_sequences(small, 4) == MOST_SEQUENCES
    assert affordable_sequences(large, 4) == 1
