import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.evaluate.bleu import bleu, words


def test_a_score_worked_out_by_hand():
    # the, sum, of and list are found of 6 words; "the sum" and "sum of" of 5 pairs; one of 4 triples; no four of 3.
    expected = (4 / 6 * (2 + 1) / (5 + 1) * (1 + 1) / (4 + 1) * (0 + 1) / (3 + 1)) ** 0.25
    assert bleu("Returns the sum of a list", "return the sum of the list") == pytest.approx(expected)
    assert expected == pytest.approx(0.4273, abs=1e-4)


def test_a_short_one_pays_for_its_shortness():
    # Its one word is right, and nothing longer is asked of it; CodeXGLUE counts a word more on both sides.
    assert bleu("sum", "the sum of values") == pytest.approx(math.exp(1 - 5 / 2))
    assert bleu("the sum of values", "sum") == pytest.approx(
        (1 / 4 * 1 / 4 * 1 / 3 * 1 / 2) ** 0.25
    )  # long is no merit
    assert bleu("", "the sum of values") == pytest.approx(math.exp(-4))


def test_a_word_counts_as_often_as_the_reference_has_it():
    assert bleu("the the the the", "the end of it") == pytest.approx((1 / 4 * 1 / 4 * 1 / 3 * 1 / 2) ** 0.25)


def test_words_are_in_lower_case_and_marks_are_words():
    assert words("Return `max_size`, or 3.5!") == [
        "return",
        "`",
        "max",
        "_",
        "size",
        "`",
        ",",
        "or",
        "3",
        ".",
        "5",
        "!",
    ]
    assert bleu("RETURN the Name.", "return the name.") == pytest.approx(1)


def test_nothing_in_common_is_nothing():
    assert bleu("completely different words here", "return the sum of it") < 1e-60


@given(st.text("ab c._", max_size=30), st.text("ab c._", max_size=30))
def test_a_score_lies_between_nothing_and_all(said: str, meant: str):
    assert 0 <= bleu(said, meant) <= 1 + 1e-12
    if words(said):
        assert bleu(said, said) == pytest.approx(1)
