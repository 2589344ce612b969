"""The suite's positions and edits, against the server's own mirror, which was written without them."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.conformance import text as texts
from incoder_lsp.conformance.checks.mirror import TEXT
from incoder_lsp.documents import Document, Encoding

ENCODINGS = st.sampled_from(["utf-8", "utf-16", "utf-32"])
TEXTS = st.text(st.sampled_from(["a", "é", "😀", "\n", "\r", "\f", "\u2028", "\x85"]), max_size=30)


def places(text: str) -> list[int]:
    return [i for i in range(len(text) + 1) if text[max(0, i - 1) : i + 1] != "\r\n"]


@given(TEXTS, ENCODINGS)
def test_positions_are_those_of_the_mirror_and_lead_back(text: str, encoding: Encoding):
    mirror = Document(text, 0, encoding)
    for offset in places(text):
        place = texts.position(text, offset, encoding)
        assert place == mirror.position_at(offset)
        assert texts.offset(text, place, encoding) == offset == mirror.offset_at(*place)
    assert texts.offset(text, (text.count("\n") + text.count("\r") + 1, 0), encoding) is None
    assert texts.offset(text, (0, texts.units(text, encoding) + 1), encoding) is None


@given(st.integers(0, 10**6), ENCODINGS)
def test_random_edits_have_positions_and_give_the_same_text(seed: int, encoding: Encoding):
    rng, text, mirror = random.Random(seed), TEXT, Document(TEXT, 0, encoding)
    for _ in range(8):
        start, end, new = texts.edit(rng, text)
        assert {start, end} <= set(places(text))
        mirror.edit(texts.position(text, start, encoding), texts.position(text, end, encoding), new)
        text = text[:start] + new + text[end:]
        assert mirror.text == text
