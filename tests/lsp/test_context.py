"""From a cursor to a request: the anchored prompt, and when there is nothing to ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.context import (
    LEFT_WINDOW,
    LONGEST_ANCHORED,
    Situation,
    anchor_at,
    keeps_anchor,
    next_line,
    situation_at,
)
from incoder_lsp.settings import Settings
from incoder_model.infill import LONGEST_TYPED


def is_closers(text: str) -> bool:
    return all(character in ")]}\"'`" for character in text)


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
        shown = (
            situation.right.removeprefix(situation.line_right) if is_closers(situation.line_right) else situation.right
        )
        assert request.right == shown
        assert situation.right.startswith(situation.line_right)
        assert not set(situation.line_left + situation.line_right) & {"\n", "\r"}


@pytest.mark.parametrize("closers", [")", "])", '")', "}"])
def test_what_the_editor_closed_does_not_change_the_prompt(closers: str) -> None:
    """Where there is more on the line than closers, it is shown."""
    before, after = asked("x = f│\ny = 2\n").request, asked(f"x = f(│{closers}\ny = 2\n")
    assert (after.request.left, after.request.right) == (before.left, before.right)
    assert after.right == f"{closers}\ny = 2\n"
    assert asked(f"x = f(│{closers} + 1\n").request.right == f"{closers} + 1\n"


# --- the anchor over several keys --------------------------------------------------------------------------------

pieces = st.lists(st.sampled_from(["a", "é", "😀", " ", "(", ")", "\n", "\r\n", "\r"]), max_size=8).map("".join)


@given(left=pieces, typed=pieces, right=pieces)
def test_what_is_typed_keeps_the_anchor_and_the_prompt_is_the_document(left: str, typed: str, right: str) -> None:
    anchor = anchor_at(left + right, len(left))
    text, offset = left + typed + right, len(left) + len(typed)
    if keeps_anchor(anchor, (left + right, len(left)), text, offset):
        before = situation_at(left + right, len(left), "a.py", invoked=True, settings=Settings(), anchor=anchor)
        after = situation_at(text, offset, "a.py", invoked=True, settings=Settings(), anchor=anchor)
        assert before
        assert after
        assert after.request.left + after.request.typed == after.left
        assert after.request.right == before.request.right
        if not left.endswith("\r"):  # else a line end may have grown
            assert after.request.left == before.request.left


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("a = 1\nb = 2\nc = 3\n", 3),  # in front of the anchor
        ("a = 0\nb = 2\nc = 3\n", 11),  # text in front of it has changed
        ("a = 1\nb = 2\nc = 4\n", 11),  # text behind the cursor has changed
        ("a = 1\nb = 2\nc = 3\n", 16),  # the cursor went down a line
    ],
)
def test_an_anchor_is_given_up_when_anything_else_changes(text: str, offset: int) -> None:
    assert keeps_anchor(6, ("a = 1\nb = \nc = 3\n", 10), "a = 1\nb = 2\nc = 3\n", 11)
    assert not keeps_anchor(6, ("a = 1\nb = \nc = 3\n", 10), text, offset)


def test_an_anchor_is_left_behind_at_a_line_start() -> None:
    line = "x" * 99 + "\n"
    kept = [keeps_anchor(0, ("", 0), line * n + "x" * 50, 100 * n + 50) for n in range(20)]
    assert kept == [100 * n <= LONGEST_ANCHORED for n in range(20)]


@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
def test_the_next_line(eol: str) -> None:
    assert next_line(f"a(b){eol}c", 2, eol) == (f"a(b){eol}{eol}c", 4 + len(eol))
    assert next_line("a", 0, eol) == (f"a{eol}", 1 + len(eol))


def test_a_window_begins_with_a_line() -> None:
    before = "# a line of this file\r\n" * 3000
    situation = situation_at(before + "x", len(before), "a.py", invoked=True, settings=Settings())
    assert situation
    assert set(situation.left.split("\n")) == {"# a line of this file", ""}
    long = situation_at("x" * 50_000, 40_000, "a.py", invoked=True, settings=Settings())
    assert long
    assert len(long.left) >= LEFT_WINDOW, "where there is no other line, a part of one is better than nothing"


def test_the_settings_of_what_is_read_are_in_the_request() -> None:
    request = asked("a│", settings=Settings(left_share=0.5, neighbour_share=0.125)).request
    assert (request.left_share, request.neighbour_share, request.neighbours) == (0.5, 0.125, ())


def test_typing_does_not_move_the_window() -> None:
    before = "# a line of this file\n" * 3000
    first = situation_at(before, len(before), "a.py", invoked=True, settings=Settings())
    later = situation_at(before + "x = 1\n", len(before) + 6, "a.py", invoked=True, settings=Settings())
    assert first
    assert later
    assert later.left == first.left + "x = 1\n"
