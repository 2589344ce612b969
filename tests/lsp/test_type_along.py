"""For how long an answer holds, and how much of a suggestion stands in a text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.filters import Suggestion
from incoder_lsp.question import Answer, Question
from incoder_lsp.settings import Settings
from incoder_lsp.type_along import Known


def question(text: str, invoked: bool = False) -> Question:
    """A bar is at the cursor."""
    return Question("file:///a.py", "/a.py", text.replace("|", ""), text.index("|"), "\n", invoked, Settings())


def known(text: str, *suggestions: Suggestion) -> Known:
    return Known(question(text), Answer(suggestions))


def rests(known: Known, later: str) -> list[tuple[str, int]] | None:
    answer = known.rest(question(later))
    return answer and [(one.text, one.covers) for one in answer.suggestions]


def test_all_candidates_that_go_on():
    three = known("x = |", Suggestion("name"), Suggestion("nail"), Suggestion("other"))
    assert rests(three, "x = n|") == [("ame", 0), ("ail", 0)]
    assert rests(three, "x = na|") == [("me", 0), ("il", 0)]
    assert rests(three, "x = nam|") == [("e", 0)]
    assert rests(three, "x = name|") is None
    assert rests(three, "x = q|") is None


@pytest.mark.parametrize(
    ("asked", "suggestion", "later", "rest"),
    [
        # the editor closes what is opened
        ("x = |", Suggestion("f(a)"), "x = f(|)", [("a)", 1)]),
        ("x = |", Suggestion("f(a"), "x = f(|)", None),  # never comes to the closer
        ("x = |", Suggestion("f(\n    a)"), "x = f(|)", None),  # only on another line
        ("g(|)", Suggestion("f(a))", 1), "g(f(|))", [("a))", 2)]),
        # it is typed through what is closed already
        ("f(|)", Suggestion("a).b", 1), "f(a|)", [(").b", 1)]),
        ("f(|)", Suggestion("a).b", 1), "f(a)|", [(".b", 0)]),
        ("f(|)", Suggestion("a)", 1), "f(a)|", None),
        ("f(|) y", Suggestion("a)", 1), "f(a|", None),
        # other things have changed
        ("f(|)", Suggestion("a)", 1), "f(a|]", None),
        ("f(|)", Suggestion("a)", 1), "g(a|)", None),
    ],
)
def test_closers_behind_the_cursor(asked: str, suggestion: Suggestion, later: str, rest: list[tuple[str, int]] | None):
    assert rests(known(asked, suggestion), later) == rest


@given(st.text("a(])\n", max_size=4), st.text("a)]\n", max_size=4), st.text("a()\n", min_size=1, max_size=8), st.data())
def test_what_is_left_leads_to_the_same_text(left: str, right: str, suggested: str, data: st.DataObject):
    covers = data.draw(st.integers(0, len(right)))
    typed = data.draw(st.integers(0, len(suggested)))
    one = known(f"{left}|{right}", Suggestion(suggested, covers))
    now = question(f"{left}{suggested[:typed]}|{right}")
    goal = left + suggested + right[covers:]
    if answer := one.rest(now):
        (rest,) = answer.suggestions
        assert now.text[: now.offset] + rest.text + now.text[now.offset + rest.covers :] == goal
    else:
        assert typed == len(suggested)


@given(st.text("a(\n", max_size=4), st.text("a)\n", max_size=4), st.text("a()\n", min_size=1, max_size=8), st.data())
def test_how_much_stands(left: str, right: str, suggested: str, data: st.DataObject):
    covers = data.draw(st.integers(0, len(right)))
    typed = data.draw(st.integers(0, len(suggested)))
    one = known(f"{left}|{right}", Suggestion(suggested, covers))
    standing = one.standing(left + suggested[:typed] + right)
    assert standing
    assert standing[1] >= typed
    whole = one.standing(left + suggested + right[covers:])
    assert whole == (Suggestion(suggested, covers), len(suggested))


def test_nothing_stands_elsewhere():
    one = known("x = |\ny", Suggestion("name"))
    assert one.standing("x = na\ny")
    for text in ("x = no\ny", "X = na\ny", "x = na\nz", "x =", ""):
        assert one.standing(text) is None


def test_who_asks_once_more_wants_more_unless_it_was_hidden():
    automatic = known("x = |", Suggestion("name"))
    asked = question("x = n|", invoked=True)
    assert automatic.rest(asked) is None
    assert replace(automatic, hidden=True).rest(asked) == Answer((Suggestion("ame"),))
    nothing = Known(question("x = |"), Answer(why="empty"), hidden=True)
    assert nothing.rest(question("x = |", invoked=True)) is None
    assert nothing.rest(question("x = |")) == Answer(why="empty")
