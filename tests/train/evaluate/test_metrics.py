"""Measures of an answer against what stood in the hole: definitions by plain twins, and what must hold for any texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incoder_train.evaluate.metrics import edit_distance, edit_similarity, elsewhere, exact, parses

short = st.text(alphabet="ab \n😀é", max_size=12)
long = st.text(max_size=200)


def distance_by_table(one: str, other: str) -> int:
    """The plain twin: Levenshtein's recurrence, row by row."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@given(short, short)
def test_distance_equals_its_plain_twin(one: str, other: str) -> None:
    assert edit_distance(one, other) == distance_by_table(one, other)


@settings(max_examples=20)
@given(st.text(alphabet="abc", min_size=50, max_size=150), st.text(alphabet="abc", min_size=50, max_size=150))
def test_distance_beyond_a_machine_word(one: str, other: str) -> None:
    assert edit_distance(one, other) == distance_by_table(one, other)


@given(long, long, long)
def test_distance_is_a_metric(one: str, two: str, three: str) -> None:
    assert (edit_distance(one, two) == 0) == (one == two)
    assert edit_distance(one, two) == edit_distance(two, one)
    assert edit_distance(one, three) <= edit_distance(one, two) + edit_distance(two, three)


@given(long, long)
def test_similarity_is_a_share_and_1_only_where_exact(one: str, two: str) -> None:
    similarity = edit_similarity(one, two)
    assert 0 <= similarity <= 1
    assert (similarity == 1) == (exact(one, two) == 1)


def test_similarity_as_defined() -> None:
    assert edit_similarity("kitten", "sitting") == 1 - 3 / 7
    assert edit_similarity("", "") == 1
    assert edit_similarity("", "abc") == 0
    assert edit_similarity("abc \n", "abc") == 1


@given(short, st.sampled_from(["", " ", "\n", "  \n\t\n"]))
def test_exact_forgives_white_space_at_the_end_only(text: str, end: str) -> None:
    assert exact(text + end, text) == 1
    assert exact("x" + text, text) == 0
    assert exact(" x" + text, "x" + text) == 0


@pytest.mark.parametrize(
    ("source", "right"),
    [
        ("x = 1\n", True),
        ("", True),
        ("def f(:\n", False),
        ("if x:\nreturn", False),
        ("x = '\\d'\n", True),  # only warned of
        ("x = 1\0", False),
        ("\ud800 = 1", False),
        ("(" * 100_000, False),
        ("-" * 100_000 + "1", False),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_parses(source: str, right: bool) -> None:
    assert parses(source) is right


@pytest.mark.parametrize(
    ("answer", "left", "right", "stands"),
    [
        ("return x", "def f(x):\n    ", "\n\ndef g(x):\n  return x  \n", True),  # a whole line, another indent
        ("return x", "def f(x):\n    ", "\n\ndef g(x):\n  return xy\n", False),
        ("return x", "def f(x):\n    ", "\n\ndef g(x):\n  if x: return x\n", False),
        ("    a()\n    b()", "a()\nb()\n", "\nc()\n", True),
        ("    a()\n    b()", "a()\nc()\n", "\nb()\n", False),
        ("(x)", "y = f(x)\nz = f", "\n", True),  # a part of a line, anywhere
        ("(x)", "y = f(y)\nz = f", "\n", False),
        ("x", "a", "b", False),
    ],
)
def test_elsewhere(answer: str, left: str, right: str, stands: bool) -> None:
    assert elsewhere(answer, left, right) is stands
