"""The mirror equals what the client has: against a reference that walks the text character by character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.documents import Document, Encoding

PIECES = [
    "a",
    "b",
    " ",
    "é",
    "e\u0301",
    "漢",
    "😀",
    "\U0010ffff",
    "\n",
    "\r\n",
    "\r",
    "\f",
    "\v",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
]
texts = st.lists(st.sampled_from([*PIECES, "\ud83d", "\udc00"]), max_size=12).map("".join)
encodings: st.SearchStrategy[Encoding] = st.sampled_from(["utf-8", "utf-16", "utf-32"])
edits = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), texts), max_size=6)


def units(char: str, encoding: Encoding) -> int:
    n = ord(char)
    return {"utf-8": 1 + (n > 0x7F) + (n > 0x7FF) + (n > 0xFFFF), "utf-16": 1 + (n > 0xFFFF), "utf-32": 1}[encoding]


def positions(text: str, encoding: Encoding) -> list[tuple[int, int]]:
    """The position of each offset from 0 to len(text)."""
    line = character = 0
    result = []
    for i, char in enumerate(text):
        between = i > 0 and text[i - 1] == "\r" and char == "\n"
        result.append(result[-1] if between else (line, character))
        if char == "\n" or (char == "\r" and text[i + 1 : i + 2] != "\n"):
            line, character = line + 1, 0
        else:
            character += units(char, encoding)
    return [*result, (line, character)]


def without_halves(text: str) -> str:
    return "".join("\ufffd" if 0xD800 <= ord(char) < 0xE000 else char for char in text)


@given(texts, edits, encodings)
def test_the_mirror_follows_any_edits(text: str, changes: list[tuple[int, int, str]], encoding: Encoding):
    document, text = Document(text, encoding=encoding), without_halves(text)
    for first, second, new in changes:
        known = positions(text, encoding)
        places = (known[min(offset, len(text))] for offset in (first, second))
        a, b = sorted(known.index(place) for place in places)  # no client can point between \r and \n
        document.edit(known[a], known[b], new)
        text = text[:a] + without_halves(new) + text[b:]
        document.offset_at(*known[b])  # fills the line index part way, so that the next edit has something to undo
    assert document.text == text
    known = positions(text, encoding)
    assert [document.position_at(i) for i in range(len(text) + 1)] == known
    assert [document.offset_at(*place) for place in known] == [known.index(place) for place in known]


@given(texts, encodings, st.integers(0, 15), st.integers(0, 15))
def test_a_position_outside_the_text_moves_to_its_nearest_end(text: str, encoding: Encoding, line: int, character: int):
    document, text = Document(text, encoding=encoding), without_halves(text)
    known = positions(text, encoding)
    before = [place for place in known if place[0] < line or (place[0] == line and place[1] <= character)]
    if line > known[-1][0]:
        before = known
    assert document.offset_at(line, character) == known.index(before[-1])


@given(texts, texts)
def test_a_full_change_is_a_new_document(old: str, new: str):
    document = Document(old)
    document.offset_at(10, 0)
    document.replace(new)
    fresh = Document(new)
    assert document.text == fresh.text
    assert [document.position_at(i) for i in range(len(fresh.text) + 1)] == positions(fresh.text, "utf-16")


def test_a_range_that_runs_backwards_deletes_nothing():
    document = Document("one\ntwo\n")
    document.edit((1, 2), (0, 1), "X")
    assert document.text == "one\ntwXo\n"


@pytest.mark.parametrize(
    ("text", "eol"),
    [("", "\n"), ("a", "\n"), ("a\nb\r\n", "\n"), ("a\r\nb\n", "\r\n"), ("a\rb", "\r"), ("a\u2028b\r\n", "\r\n")],
)
def test_the_line_end_of_a_file_is_that_of_its_first_line(text: str, eol: str):
    assert Document(text).eol == eol


def test_form_feeds_and_unicode_separators_end_no_line():
    document = Document("a\f\u2028b\nc")
    document.edit((1, 0), (1, 1), "C")
    assert document.text == "a\f\u2028b\nC"
