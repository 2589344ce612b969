"""Eight bits a weight: nothing is further off than half a step, and what was quantised once stays as it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from incoder_model.quantise import dequantise, quantise

FINITE = st.floats(-(2.0**100), 2.0**100, width=32)
MATRICES = arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=FINITE)


@given(MATRICES)
def test_no_weight_is_further_off_than_half_a_step_of_its_row(matrix: np.ndarray) -> None:
    values, scales = quantise(matrix)
    assert (values.shape, values.dtype) == (matrix.shape, np.int8)
    assert (scales.shape, scales.dtype) == (matrix.shape[:1], np.float32)
    assert (scales > 0).all()
    assert np.abs(values.astype(int)).max(initial=0) <= 127  # never -128
    error = np.abs(matrix.astype(np.float64) - dequantise(values, scales))
    assert (error <= 0.5 * (1 + 1e-12) * scales[:, None].astype(np.float64)).all()
    # A step is as small as the largest weight of the row allows, or float32's smallest number.
    largest = np.abs(matrix).max(axis=1).astype(np.float64)
    steps = np.where(largest > 0, largest, 127) / 127
    assert (scales <= np.maximum(steps * (1 + 2.0**-16), 2.0**-149)).all()


@given(MATRICES)
def test_to_quantise_again_changes_nothing(matrix: np.ndarray) -> None:
    once = quantise(matrix)
    weights = dequantise(*once)
    again = quantise(weights)
    ordinary = (
        np.abs(matrix).max(axis=1) > 2.0**-120
    )  # below, float32 has not the steps; above, 127 is the largest number
    for before, after in zip((*once, weights), (*again, dequantise(*again)), strict=True):
        assert np.array_equal(before[ordinary], after[ordinary])


@given(MATRICES)
def test_every_engine_sees_the_same_weights(matrix: np.ndarray) -> None:
    """The product of a whole number and its scale is exact in float32."""
    values, scales = quantise(matrix)
    assert np.array_equal(dequantise(values, scales), values.astype(np.float64) * scales[:, None].astype(np.float64))


@given(MATRICES)
def test_a_row_knows_nothing_of_the_others_and_has_two_signs(matrix: np.ndarray) -> None:
    values, scales = quantise(matrix)
    for row in range(len(matrix)):
        alone = quantise(matrix[row : row + 1])
        assert np.array_equal(alone[0][0], values[row])
        assert alone[1] == scales[row]
    opposite, same = quantise(-matrix)
    assert np.array_equal(opposite, -values)
    assert np.array_equal(same, scales)


def test_rows_of_nothing() -> None:
    values, scales = quantise(np.array([[0, -0.0, 0], [0, 127, -63.5], [0, 0, 2.0**-149]], np.float32))
    assert values.tolist() == [[0, 0, 0], [0, 127, -64], [0, 0, 1]]
    assert scales.tolist() == [1, 1, 2.0**-149]  # not 0, by which an engine might divide
    assert quantise(np.zeros((2, 0), np.float32))[1].tolist() == [1, 1]
    assert quantise(np.zeros((0, 2), np.float32))[0].shape == (0, 2)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    matrix = np.ones((2, 3), np.float32)
    matrix[1, 2] = wrong
    with pytest.raises(ValueError, match="a weight is not a finite number"):
        quantise(matrix)
