"""From a cursor to a request: the anchored prompt, and when there is nothing to ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.context import Situation, situation_at
from incoder_lsp.settings import Settings
from incoder_model.infill import LONGEST_TYPED


def at_cursor(document: str, *, invoked: bool = False, settings: Settings | None = None) -> Situation | None:
    """`document` with the cursor at `│`."""
    text, offset = document.replace("│", ""), document.index("│")
    return situation_at(text, offset, "/home/me/code.py", invoked=invoked, settings=settings or Settings())


def asked(document: str, **how) -> Situation:
    situation = at_cursor(document, **how)
    assert situation is not None
    return situation


def test_the_prompt_is_anchored_at_the_start_of_the_line() -> None:
    first = asked("a = 1\nb = │\nc = 3\n").request
    later = asked("a = 1\nb = a + │\nc = 3\n").request
    assert (first.left, first.typed, first.right) == ("a = 1\n", "b = ", "\nc = 3\n")
    assert (later.left, later.right, later.header) == (first.left, first.right, first.header)
    assert later.typed == "b = a + "


def test_the_header_names_the_file() -> None:
    assert asked("x│").request.header == "<| file ext=.py filename=code.py |>\n"


@pytest.mark.parametrize("eol", ["\r\n", "\r"])
def test_the_model_reads_plain_line_ends(eol: str) -> None:
    situation = asked(f"a{eol}b│{eol}c")
    assert (situation.left, situation.right) == ("a\nb", "\nc")


@pytest.mark.parametrize("document", ["na│me = 1", "x = some│_name"])
def test_inside_a_word_only_on_request(document: str) -> None:
    assert at_cursor(document) is None
    assert at_cursor(document, invoked=True) is not None


@pytest.mark.parametrize(
    ("document", "one_line"),
    [
        ("x = │\n", True),
        ("def f():\n    │\n", False),
        ("def f():\n    │", False),
        ("if (a and\n    b):\n\n    │\nx = 1\n", False),
        ("items = [\n    │\n]\n", False),
        ("def f():\n    │\n    return 1\n", True),  # the block has a body
        ("def f():\n    re│\n", True),  # a statement has begun
        ("def f():\n    │ # note\n", True),  # the line goes on
        ("a = 1\n│\n", True),
        ("│", True),
    ],
)
def test_several_lines_only_where_a_block_starts(document: str, one_line: bool) -> None:
    assert asked(document).request.one_line is one_line


def test_several_lines_when_asked_and_never_when_switched_off() -> None:
    assert not asked("a = 1\n│\n", invoked=True).request.one_line
    assert asked("def f():\n    │\n", settings=Settings(multi_line="never")).request.one_line


def test_of_a_very_long_line_only_the_end_is_forced() -> None:
    request = asked("x = [" + "1, " * 300 + "│]").request
    assert len(request.typed) <= LONGEST_TYPED
    assert (request.left + request.typed).endswith("1, 1, ")
    assert request.left.endswith(" ")


@given(st.text(max_size=60), st.text(max_size=60), st.booleans())
def test_left_typed_and_right_are_the_document(before: str, after: str, invoked: bool) -> None:
    situation = situation_at(before + after, len(before), "a.py", invoked=invoked, settings=Settings())
    if situation:
        request = situation.request
        assert request.left + request.typed == situation.left
        assert situation.left.endswith(situation.line_left)
        assert request.right == situation.right
        assert situation.right.startswith(situation.line_right)
        assert not set(situation.line_left + situation.line_right) & {"\n", "\r"}
