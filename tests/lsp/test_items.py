"""Where a suggestion goes: over the word that is being typed, or over what the popup's item goes over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.filters import Suggestion
from incoder_lsp.items import Placed, placed
from incoder_lsp.question import Question, Selected, with_selected
from incoder_lsp.settings import Settings


def question(left: str, right: str = "") -> Question:
    return Question("file:///a.py", "/a.py", left + right, len(left), "\n", True, Settings())


@given(st.text("ab_1é .(", max_size=8), st.text("ab )", min_size=1, max_size=6), st.integers(0, 1))
def test_a_suggestion_begins_with_the_word_that_it_goes_over(left: str, said: str, covers: int) -> None:
    place = placed(question(left, ")"), Suggestion(said, covers))
    assert place
    word = left[place.start :]
    assert (place.end, place.text) == (len(left) + covers, word + said)
    assert all(character.isalnum() or character == "_" for character in word)
    assert not left[: place.start] or not (left[place.start - 1].isalnum() or left[place.start - 1] == "_")


def test_a_selected_item_is_completed_as_if_it_were_typed() -> None:
    asked = with_selected(question("x = json.lo", ")"), Selected(9, 11, "loads"))
    assert (asked.text, asked.offset) == ("x = json.loads)", 14)
    assert placed(asked, Suggestion("(text)")) == Placed(9, 11, "loads(text)")
    assert placed(asked, Suggestion("(text))", covers=1)) == Placed(9, 11, "loads(text)")
    assert placed(asked, Suggestion("(text)):", covers=1)) is None, "it would have to go over more than the item does"
    assert placed(asked, Suggestion(")", covers=1)) is None


def test_an_item_that_is_selected_elsewhere_changes_nothing() -> None:
    asked = question("x = json.lo")
    assert with_selected(asked, Selected(0, 1, "loads")) == asked
