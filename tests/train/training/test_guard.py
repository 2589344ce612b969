"""Which updates are skipped, and how the loss scale moves."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.training.guard import FEWEST, WINDOW, Guard, LossScale

finite = st.floats(0.01, 1e6)


def steady(guard: Guard, updates: int = WINDOW) -> None:
    """Losses and norms that go up and down by a tenth."""
    for i in range(updates):
        assert guard.objection(2.0 + 0.1 * (-1) ** i, 1.0 + 0.1 * (-1) ** i) is None


def test_an_outlier_is_named() -> None:
    guard = Guard(6.0)
    steady(guard)
    assert guard.objection(2.5, 1.0) is None
    said = guard.objection(3.5, 1.0)
    assert said is not None
    assert said.startswith("the loss is 3.5, over 2.")
    assert said.endswith("6 sigma above the last 128")
    assert "gradient's norm is 9" in (guard.objection(2.0, 9.0) or "")
    assert guard.objection(0.1, 0.01) is None  # far below is no harm


def test_too_few_updates_are_no_measure() -> None:
    guard = Guard(6.0)
    steady(guard, FEWEST - 1)
    assert guard.objection(1000.0, 1000.0) is None


def test_a_new_level_is_soon_no_outlier() -> None:
    guard = Guard(6.0)
    steady(guard)
    objections = [guard.objection(5.0, 1.0) is not None for _ in range(WINDOW)]
    assert objections[0]
    assert not any(objections[10:])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_is_skipped_and_forgotten(bad: float) -> None:
    for sigma in (0.0, 6.0):
        guard = Guard(sigma)
        assert guard.objection(bad, 1.0)
        assert guard.objection(1.0, bad)
        assert not guard.losses
        assert not guard.norms


@given(st.lists(st.tuples(finite, finite), min_size=40, max_size=60))
def test_without_sigma_nothing_finite_is_skipped(updates: list[tuple[float, float]]) -> None:
    guard = Guard(0.0)
    assert [guard.objection(*update) for update in updates] == [None] * len(updates)


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=200), st.lists(st.tuples(finite, finite), max_size=20))
def test_a_restored_guard_judges_alike(before: list[tuple[float, float]], after: list[tuple[float, float]]) -> None:
    one, other = Guard(6.0), Guard(6.0)
    for update in before:
        one.objection(*update)
    other.restore(one.to_dict())
    assert [one.objection(*update) for update in after] == [other.objection(*update) for update in after]


def test_the_scale_halves_at_once_and_doubles_slowly() -> None:
    scale = LossScale()
    scale.update(overflow=True)
    assert scale.value == 32768
    for _ in range(LossScale.GROW_AFTER - 1):
        scale.update(overflow=False)
    assert scale.value == 32768
    scale.update(overflow=False)
    assert scale.value == 65536
    for _ in range(60):
        scale.update(overflow=True)
    assert scale.value == LossScale.SMALLEST
