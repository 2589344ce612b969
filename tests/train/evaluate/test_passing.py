"""pass@k is what its definition says: the share of the ways to choose k samples that have one that passes."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.evaluate.case import Answer
from incoder_train.evaluate.passing import FAILURES, pass_at_k, pass_scores


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    samples = draw(st.integers(1, 300))
    return samples, draw(st.integers(0, samples)), draw(st.integers(1, samples))


@given(counts())
def test_pass_at_k_counts_choices(drawn: tuple[int, int, int]) -> None:
    samples, passed, k = drawn
    exact = 1 - Fraction(comb(samples - passed, k), comb(samples, k))
    assert pass_at_k(samples, passed, k) == pytest.approx(float(exact), rel=1e-12, abs=1e-12)
    assert 0 <= pass_at_k(samples, passed, k) <= 1


def test_pass_at_k_of_many_samples_neither_overflows_nor_vanishes() -> None:
    assert pass_at_k(10**6, 1, 100) == pytest.approx(1e-4, rel=1e-9)
    assert pass_at_k(200, 0, 100) == 0
    assert pass_at_k(200, 200, 1) == pass_at_k(5, 3, 3) == 1


@pytest.mark.parametrize("drawn", [(1, 2, 1), (1, -1, 1), (5, 1, 6), (5, 1, 0)])
def test_pass_at_k_wants_k_samples(drawn: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(*drawn)


def test_scores_are_for_as_many_samples_as_there_are() -> None:
    ten = Answer([""] * 10, {FAILURES: [None, *["AssertionError"] * 9]})
    assert pass_scores(ten) == {"pass@1": pytest.approx(0.1), "pass@10": 1}
    assert pass_scores(Answer([""], {FAILURES: ["timeout"]})) == {"pass@1": 0}
    assert list(pass_scores(Answer([""] * 100, {FAILURES: [None] * 100}))) == ["pass@1", "pass@10", "pass@100"]
