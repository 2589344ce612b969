"""Where an answer over HTTP ends, and what of it may be shown before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.http.wish import Cut, Wish, cut, settled
from incoder_model.infill import InfillRequest

HOLE = InfillRequest("", "")


@given(st.text("ab \n"), st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=2), st.integers(0, 2))
def test_what_is_shown_stays(text: str, stops: list[str], indent: int):
    wish = Wish(HOLE, tuple(stops), indent=indent)
    shown, end = "", None
    for length in range(len(text) + 1):
        end = cut(text[:length], wish)
        now = end.text if end else settled(text[:length], wish)
        assert now.startswith(shown)
        shown = now
        if end:
            break
    whole = cut(text, wish)
    assert (whole.text if whole else text).startswith(shown)
    assert not any(stop in shown for stop in stops)
    assert not end or end == whole


def test_the_earliest_end_counts():
    text = "f(x)\n    y\n  z stop"
    assert cut(text, Wish(HOLE, ("stop",))) == Cut("f(x)\n    y\n  z ", "word", "stop")
    assert cut(text, Wish(HOLE, ("stop",), indent=4)) == Cut("f(x)\n    y", "limit")
    assert cut("f(x)\n\n    y", Wish(HOLE, indent=4)) is None, "an empty line has no indentation"


def test_time_ends_what_has_a_finished_line():
    wish = Wish(HOLE, milliseconds=250)
    assert cut("one", wish, 999) is None
    assert cut("one\n", wish, 249) is None
    assert cut("one\n", wish, 251) == Cut("one\n", "limit")
