"""Moments of silence: what stands around the cursor, what was done last, and the mode."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.edits import History, Kind, edit_between
from incoder_lsp.question import Question
from incoder_lsp.settings import Settings
from incoder_lsp.when import MANUAL, reason_to_wait, settled


def question(text: str, invoked: bool = False, **settings: Any) -> Question:
    """A bar is at the cursor."""
    return Question(
        "file:///a.py", "/a.py", text.replace("|", ""), text.index("|"), "\n", invoked, Settings(**settings)
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("|", None),
        ("ab|", None),
        ("|ab", None),
        ("a.|b", None),
        ("f(a|)", None),
        ("a|b", "inside a word"),
        ("_|1", "inside a word"),
        ("ä|ß", "inside a word"),
    ],
)
def test_inside_a_word(text: str, reason: str | None):
    assert reason_to_wait(question(text), None) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a();|", "after a statement"),
        ("x;\r\na();|\r\n", "after a statement"),
        ("if (a) { b[1] = 2; }\nreturn;|\n}", "after a statement"),
        ("for (;|", None),
        ("if (a) { b();|", None),
        ("a();| b();", None),
        ("a()|;", None),
        ("a(b)|", None),
    ],
)
def test_after_a_statement(text: str, reason: str | None):
    assert reason_to_wait(question(text), None) == reason


@pytest.mark.parametrize(
    ("texts", "now", "reason"),
    [
        (("ab", "abc"), "abc|", None),
        (("ab", "a"), "a|", "after a deletion"),
        (("ab", "a"), "|a", None),  # elsewhere
        (("ab", "ab pasted", "ab"), "ab|", "after an undo"),
        (("ab", "ab pasted", "ab", "abc"), "abc|", None),  # the next key
        (("ab", "ab pasted"), "ab pasted|", None),
        (("aa(", "aa"), "aa|", "after a deletion"),
        (("a   b", "a  b"), "a | b", "after a deletion"),  # which of the blanks was it?
    ],
)
def test_after_what_was_done(texts: tuple[str, ...], now: str, reason: str | None):
    history = History()
    for before, text in itertools.pairwise(texts):
        history = history.after(edit_between(before, text), before, text)
    assert reason_to_wait(question(now), history.last) == reason
    assert reason_to_wait(question(now, invoked=True), history.last) is None


@pytest.mark.parametrize("kind", Kind)
def test_when_even_what_is_known_stays_unsaid(kind: Kind):
    last = History().after(edit_between("a", "abcd"), "a", "abcd", kind).last
    silent = {Kind.UNDONE: "after an undo", Kind.ACCEPTED: "after an accepted suggestion"}
    assert settled(question("abcd|"), last) == silent.get(kind)
    assert settled(question("abcd|", invoked=True), last) is None
    assert settled(question("|abcd"), last) is None


@given(st.text("a. (", max_size=5), st.text("a. )", max_size=5), st.sampled_from([None, *Kind]))
def test_who_asks_is_answered_in_every_mode(left: str, right: str, kind: Kind | None):
    last = History().after(edit_between("", left + right), "", left + right, kind).last if kind else None
    for mode in ("automatic", "subtle", "manual"):
        assert reason_to_wait(question(f"{left}|{right}", invoked=True, mode=mode), last) is None


def test_in_manual_mode_nothing_is_asked_by_itself():
    assert reason_to_wait(question("a|", mode="manual"), None) == MANUAL
    assert reason_to_wait(question("a|", mode="subtle"), None) is None
