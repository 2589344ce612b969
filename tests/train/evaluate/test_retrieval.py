"""The floor without a model: what it finds, and that it never finds more than what stands in view."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_train.evaluate.retrieval import retrieve

SETTERS = """\
def first(self):
    check(self)
    self.a = 1
    self.b = 2
    return self


def second(self):
    other(self)
    self.a = 3
    return self


"""


@pytest.mark.parametrize(
    ("left", "right", "found"),
    [
        # The line after the nearest place that is like this one.
        (SETTERS + "def third(self):\n    other(self)\n", "\n    return None\n", "    self.a = 3"),
        (SETTERS + "def third(self):\n    other(self)\n    ", "\n    return None\n", "self.a = 3"),
        (SETTERS + "def third(self):\n    check(self)\n", "    return None\n", "    self.a = 1\n"),
        # Up to the line that the right side begins with.
        (SETTERS + "def third(self):\n    check(self)\n", "    return self\n", "    self.a = 1\n    self.b = 2\n"),
        (SETTERS + "def third(self):\n    check(self)\n", "\n\n    return self\n", "    self.a = 1\n    self.b = 2"),
        # It may stand below, and be indented otherwise.
        ("if a:\n        other(self)\n", "\n        return None\n\n\n" + SETTERS, "        self.a = 3"),
        ("other(self)\n", "\nreturn None\n\n\n" + SETTERS, "self.a = 3"),
        # More context decides between two places, whichever is nearer.
        ("a\nb\nx1\nc\nb\nx2\na\nb\n", "\nz", "x1"),
        ("a\nb\nx1\nc\nb\nx2\nq\nb\n", "\nz", "x2"),
        # What follows counts for more.
        ("a\nb\nx1\n" + "y\n" * 9 + "b\nx2\nz\na\nb\n", "\nz", "x2"),
        # If nothing is like the line before, what stands before the line after.
        (SETTERS + "unheard of\n", "    return self\n", "    self.a = 3\n"),
        ("    x1\n    z\nunheard of\n", "\nz", "x1"),
        # Within a line.
        ("self.value = compute(1)\nx = 2\nself.value = comp", "\n", "ute(1)"),
        ("foo(a, b)\nfoo(c, d)\nfoo(", ", d)\n", "c"),
        ("foo(a, b)\nfoo(c, d)\nfoo(", ", b)\n", "a"),
        ("total = compute(1)\nother = comp", "\n", "ute(1)"),
        ("for i in range(10):\n    ", " in range(10):\n", "for i"),
        ("x = ", "\nx = 1\n", "1"),
        # Nothing is alike.
        ("", "", ""),
        ("a\n", "\nb\n", ""),
        ("abc", "", ""),
    ],
)
def test_what_is_found(left: str, right: str, found: str) -> None:
    assert retrieve(left, right) == found


def test_a_single_line_is_asked_for() -> None:
    assert retrieve(SETTERS + "check(self)\n", "\nreturn self\n", longest=1) == "self.a = 1"
    assert retrieve(SETTERS + "check(self)\n", "\nself.b = 2\n", longest=1) == "self.a = 1"


@given(
    st.lists(st.sampled_from(["a", "  b", "    c d", "", "(x", "a = 1", "\t"]), max_size=12).map("\n".join),
    st.lists(st.sampled_from(["a", "  b", "    c d", "", "x)", "a = 1", "\t"]), max_size=12).map("\n".join),
    st.integers(1, 4),
)
def test_it_says_what_stands_in_view(left: str, right: str, longest: int) -> None:
    found = retrieve(left, right, longest)
    lines = [line for line in found.split("\n") if line.strip()]
    assert all(line.strip() in left + right for line in lines)
    assert len(lines) <= longest
    assert bool(found) == bool(found.strip())
