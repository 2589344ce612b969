"""What is left of a text after edits: compared with a document whose characters know where they came from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.edits import Edit, edit_between
from incoder_lsp.survival import LONGEST_COMPARED, after_edit, surviving

edits = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6), st.text("xy", max_size=4)), max_size=8)


@given(st.integers(0, 20), st.integers(1, 10), edits)
def test_an_edit_that_only_removes_or_only_inserts_takes_what_it_removes(
    start: int, length: int, edits: list[tuple[int, int, str]]
):
    document = [("a", start <= i < start + length) for i in range(30)]
    pieces = ((start, start + length),)
    for at, removed, inserted in edits:
        begin = min(at, len(document))
        for edit in (Edit(begin, "a" * min(removed, len(document) - begin), ""), Edit(begin, "", inserted)):
            pieces = after_edit(pieces, edit)
            document[begin : begin + len(edit.removed)] = [(letter, False) for letter in edit.inserted]
    marked = {place for begin, end in pieces for place in range(begin, end)}
    assert marked == {place for place, (_, ours) in enumerate(document) if ours}
    assert surviving(pieces) == len(marked)


def left_of(accepted: str, before: str, after: str) -> int:
    """Characters of `accepted`, which stands once in `before`."""
    start = before.index(accepted)
    return surviving(after_edit(((start, start + len(accepted)),), edit_between(before, after)))


def test_a_formatter_takes_only_what_it_changes():
    before, after = "x=f( a,b )\ny = 'two'\n", 'x = f(a, b)\ny = "two"\n'
    assert left_of("f( a,b )", before, after) == len("f(a,b)")
    assert left_of("'two'", before, after) == 3


def test_a_name_that_is_typed_anew_is_lost_and_the_rest_is_kept():
    assert left_of("print(name)", "a\nprint(name)\nb", "a\nprint(value)\nb") == len("print(e)") + len("a")


def test_what_is_rewritten_at_length_is_not_compared():
    long = "a" * LONGEST_COMPARED
    assert left_of("bb", f"1bb{long}2", f"3bb{long}4") == 0
    assert left_of("bb", f"{long}1bb2", f"{long}3bb4") == 2
