"""Which token comes next: greedy, top-p, and the log-probability that is reported."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.sampling import Sampling, choose

SCORES = np.log(np.array([0.5, 0.25, 0.15, 0.1], np.float32)) + 3


def draws(sampling: Sampling, allowed: np.ndarray | None = None, times: int = 3000) -> list[float]:
    rng = np.random.default_rng(0)
    chosen = [choose(SCORES, sampling, rng, allowed)[0] for _ in range(times)]
    return [chosen.count(token) / times for token in range(4)]


def test_greedy_takes_the_likeliest_of_those_allowed() -> None:
    rng = np.random.default_rng(0)
    assert choose(SCORES, Sampling(), rng) == (0, pytest.approx(np.log(0.5), abs=1e-6))
    assert choose(SCORES, Sampling(), rng, np.array([3, 2])) == (2, pytest.approx(np.log(0.15 / 0.25), abs=1e-6))


def test_sampling_follows_the_probabilities() -> None:
    assert draws(Sampling(1.0, top_p=1.0)) == pytest.approx([0.5, 0.25, 0.15, 0.1], abs=0.03)
    assert draws(Sampling(0.5, top_p=1.0)) == pytest.approx(
        [0.25 / 0.345, 0.0625 / 0.345, 0.0225 / 0.345, 0.01 / 0.345], abs=0.03
    )


def test_top_p_keeps_the_smallest_set_that_holds_it() -> None:
    assert draws(Sampling(1.0, top_p=0.7)) == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=0.03)
    assert draws(Sampling(1.0, top_p=0.8))[3] == 0
    assert draws(Sampling(1.0, top_p=0.01), times=100) == [1, 0, 0, 0]
    assert draws(Sampling(1.0, top_p=0.8), np.array([1, 3])) == pytest.approx([0, 5 / 7, 0, 2 / 7], abs=0.03)


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30),
    st.floats(0.01, 5),
    st.floats(0.01, 1),
    st.integers(0, 2**32),
)
def test_any_scores_give_a_token_and_the_same_seed_the_same(
    scores: list[float], temperature: float, top_p: float, seed: int
) -> None:
    sampling = Sampling(temperature, top_p)
    values = np.array(scores, np.float32)
    token, log_probability = choose(values, sampling, np.random.default_rng(seed))
    assert (token, log_probability) == choose(values, sampling, np.random.default_rng(seed))
    exact = values.astype(np.float64)
    assert log_probability == pytest.approx(exact[token] - np.log(np.exp(exact).sum()), abs=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"temperature": -0.1}, {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.1}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must not be negative, and top_p"):
        Sampling(**wrong)  # pyright: ignore[reportArgumentType]
