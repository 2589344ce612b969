"""Where an answer ends: its stops, the marks of other documents, and the rules that a task can choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.evaluate.case import Case, Limits
from incoder_train.evaluate.truncations import MARKS, TRUNCATIONS, is_enough, shortened

STOPS = ("\ndef", "\nclass", '"""', ":")
PIECES = [*MARKS, "|/ file |>", *STOPS, "\n", "\r\n", "    ", "x = 1", "return x", ")", "é"]

texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join)
limits = st.builds(
    Limits,
    max_tokens=st.just(8),
    stops=st.lists(st.sampled_from(STOPS), max_size=3).map(tuple),
    truncate=st.sampled_from(["", *TRUNCATIONS]),
)
cases = st.builds(Case, id=st.just("a"), left=texts, right=texts, answer=texts, limits=limits)


def case(answer: str = "x", right: str = "", **limits: object) -> Case:
    return Case("a", "", right, answer, Limits(8, **limits))  # pyright: ignore[reportArgumentType]


@given(texts, cases)
def test_a_text_gets_no_longer_and_holds_no_stop(text: str, case: Case) -> None:
    short = shortened(text, case)
    assert text.startswith(short)
    assert not any(stop in short for stop in (*MARKS, *case.limits.stops))
    assert shortened(short, case) == short or case.limits.truncate == "suffix"  # which may find one more tail


@given(texts, texts, cases)
def test_what_is_enough_stays_the_same_whatever_follows(text: str, more: str, case: Case) -> None:
    if is_enough(text, case) and case.limits.truncate != "suffix":
        assert shortened(text + more, case) == shortened(text, case)


@given(texts, st.sampled_from(STOPS), texts)
def test_a_text_is_cut_at_the_first_stop(before: str, stop: str, after: str) -> None:
    short = shortened(before + stop + after, case(stops=(stop,)))
    assert short == min((before + stop + after).split(found)[0] for found in (stop, *MARKS))
    assert len(short) <= len(before) + len(stop) - 1


@pytest.mark.parametrize(
    ("text", "answer", "left_over"),
    [
        ("a\nb\nc", "x\ny", "a\nb"),
        ("a\nb\nc", "x\ny\n", "a\nb\n"),
        ("a\nb", "x\ny\n", "a\nb"),
        ("a", "x\ny\nz", "a"),
        ("\na", "x", ""),
        ("    a\n    b\n", "    x\n", "    a\n"),
    ],
)
def test_num_lines(text: str, answer: str, left_over: str) -> None:
    assert shortened(text, case(answer, truncate="num-lines")) == left_over


@pytest.mark.parametrize(
    ("text", "right", "left_over"),
    [
        ("    y = 1\n    return x\n", "    return x\n\n\ndef f():\n", "    y = 1\n"),
        ("    y = 1\n    return x", "\n    return x\n", "    y = 1"),
        ("a\nb\nc\n", "b\nc\nd\n", "a\n"),
        ("a\nb\n\nc", "b\n\nc\nd\n", "a\n"),
        ("foo(x)", ")\n", "foo(x)"),  # a bracket is no line
        ("foo(x)\ny", ")\ny\nz", "foo(x"),
        ("return x", "return x", ""),
        ("a\n\n", "\n\nb", "a\n\n"),  # nor are blank lines
        ("a", "", "a"),
    ],
)
def test_suffix(text: str, right: str, left_over: str) -> None:
    assert shortened(text, case(right=right, truncate="suffix")) == left_over
