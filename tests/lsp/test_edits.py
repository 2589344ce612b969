"""What an edit was, from the texts before and after it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from incoder_lsp.edits import REMEMBERED, Edit, History, Kind, edit_between

texts = st.text("ab\n ", max_size=12)


@given(texts, texts)
def test_an_edit_makes_the_later_text_of_the_earlier_one_and_nothing_smaller_does(before: str, after: str):
    edit = edit_between(before, after)
    assert before[: edit.start] + edit.inserted + before[edit.start + len(edit.removed) :] == after
    assert before[edit.start :].startswith(edit.removed)
    assert edit.removed[:1] != edit.inserted[:1] or not (edit.removed and edit.inserted)
    assert edit.removed[-1:] != edit.inserted[-1:] or not (edit.removed and edit.inserted)


@given(texts, st.text("ab\n", min_size=1, max_size=4), st.data())
@example("aaaa", "a", None)
def test_where_the_cursor_may_be_after_an_insertion(before: str, inserted: str, data: st.DataObject | None):
    start = data.draw(st.integers(0, len(before))) if data else 1
    text = before[:start] + inserted + before[start:]
    edit = edit_between(before, text)
    assert edit.ends_at(start + len(inserted), text)
    for offset in range(len(text) + 1):
        begin = offset - len(inserted)
        assert edit.ends_at(offset, text) == (begin >= 0 and text[:begin] + text[offset:] == before)


@given(texts.filter(bool), st.data())
def test_where_the_cursor_may_be_after_a_deletion(before: str, data: st.DataObject):
    start = data.draw(st.integers(0, len(before) - 1))
    end = data.draw(st.integers(start + 1, len(before)))
    text, gone = before[:start] + before[end:], end - start
    edit = edit_between(before, text)
    for offset in range(len(text) + 1):
        assert edit.ends_at(offset, text) == (before[:offset] + before[offset + gone :] == text)


def history(*texts: str) -> History:
    made = History()
    for before, text in itertools.pairwise(texts):
        made = made.after(edit_between(before, text), before, text)
    return made


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("a", "ab"), Kind.TYPED),
        (("f", "f()"), Kind.TYPED),
        (("if x:", "if x:\n    "), Kind.TYPED),
        (("word", "x"), Kind.TYPED),  # over a selection
        (("ab", "a"), Kind.DELETED),
        (("a    ", "a"), Kind.DELETED),
        (("a", "a pasted line"), Kind.OTHER),
        (("imp", "numpy"), Kind.OTHER),
        (("a", "a pasted line", "a"), Kind.UNDONE),
        (("a", "a pasted line", "a", "a pasted line"), Kind.UNDONE),  # done again
        (("a", "ab", "abc", "a"), Kind.UNDONE),
        (("abc", "", "abc"), Kind.UNDONE),
        (("ab", "a", "ab"), Kind.TYPED),  # once more
        (("a", "ab", "a"), Kind.DELETED),  # a wrong key taken back
    ],
)
def test_what_an_edit_was(texts: tuple[str, ...], kind: Kind):
    last = history(*texts).last
    assert last
    assert last.kind is kind


def test_what_was_accepted_is_known_from_elsewhere():
    edit = Edit(1, "", "bcd")
    last = History().after(edit, "a", "abcd", Kind.ACCEPTED).last
    assert last == Edit(1, "", "bcd", Kind.ACCEPTED)


def test_an_undo_leads_back_only_so_far():
    texts = ["start", *(f"start {i} of many" for i in range(REMEMBERED))]
    assert len(history(*texts, "start").texts) == REMEMBERED
    last = history(*texts, "start").last
    assert last
    assert last.kind is Kind.DELETED
