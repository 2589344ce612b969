"""Masking of arrays against its plain twin, number for number."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from incoder_model import causal_mask
from incoder_model.causal_mask import Sentinels, Span, SpanDistribution, unmask
from incoder_train.tokens import masking
from incoder_train.tokens.spans import BLANK, DELIMITER, TEXT, EditorSpans, Lexicon, Lines

SENTINELS = Sentinels(first=1000, count=256, end=2000)

spans_in_documents = st.integers(0, 60).flatmap(
    lambda length: st.tuples(st.just(length), st.lists(st.integers(0, length), max_size=12).map(sorted))
)
distributions = st.builds(
    SpanDistribution, count=st.sampled_from(["clamped", "truncated"]), overlap=st.sampled_from(["greedy", "redraw"])
)


@given(spans_in_documents)
def test_masking_an_array_is_masking_a_list(case: tuple[int, list[int]]) -> None:
    length, ends = case
    spans: list[Span] = list(zip(ends[0::2], ends[1::2], strict=False))
    document = np.arange(length, dtype=np.uint16)
    masked = masking.mask(document, spans, SENTINELS)
    assert masked.tolist() == causal_mask.mask(document.tolist(), spans, SENTINELS)
    assert masked.dtype == np.int64


@given(st.integers(1, 200), st.integers(4, 220), st.integers(0, 2**32), distributions)
def test_masking_a_block_of_an_array(length: int, budget: int, seed: int, how: SpanDistribution) -> None:
    first, second = np.random.default_rng(seed), np.random.default_rng(seed)
    block = np.arange(length)
    masked = masking.mask_block(block, first, SENTINELS, budget=budget, how=how)
    assert masked.tolist() == causal_mask.mask_block(block.tolist(), second, SENTINELS, budget=budget, how=how)
    assert first.random() == second.random()  # as many random numbers were drawn


LEXICON = Lexicon(np.arange(10) == 0, [BLANK, BLANK, DELIMITER, *[TEXT] * 7], [0, 1, 0] * 3 + [2])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=80), st.integers(4, 90), st.integers(0, 2**32), st.booleans())
def test_masking_as_an_editor(block: list[int], budget: int, seed: int, cut: bool) -> None:
    """The block as far as it fits or, where its right side is cut, up to a line's end behind the hole."""
    lexicon, how = LEXICON, EditorSpans(truncate_right=float(cut))
    masked = masking.mask_as_editor(
        np.array(block), np.random.default_rng(seed), SENTINELS, budget=budget, lexicon=lexicon, how=how
    )
    assert len(masked) <= budget
    document, spans = unmask(masked.tolist(), SENTINELS)
    whole = block[: budget - 3]
    assert document == whole[: len(document)]
    lines = Lines(np.array(whole), lexicon)
    assert len(spans) == (lines.draw(np.random.default_rng(0), lambda line: True) is not None)
    if spans and cut:
        assert len(document) == spans[0][1] or whole[len(document)] == 0
    else:
        assert document == whole


@given(st.lists(st.integers(0, 9), min_size=1, max_size=400), st.integers(0, 2**32), st.booleans())
def test_an_editor_may_have_several_holes(block: list[int], seed: int, cut: bool) -> None:
    how = EditorSpans(truncate_right=float(cut), more_holes=0.9)
    budget = len(block) + 4
    masked = masking.mask_as_editor(
        np.array(block), np.random.default_rng(seed), SENTINELS, budget=budget, lexicon=LEXICON, how=how
    )
    assert len(masked) <= budget
    document, spans = unmask(masked.tolist(), SENTINELS)
    assert document == block[: len(document)]
    assert len(spans) <= max(1, budget // masking.ROOMY)
    assert all(end < start for (_, end), (start, _) in pairwise(spans))


def test_most_samples_have_several_holes_when_asked() -> None:
    block, rng = np.array([0, 3, 4, 5] * 120), np.random.default_rng(1)
    how = EditorSpans(truncate_right=0.0, more_holes=0.75)
    masked = [masking.mask_as_editor(block, rng, SENTINELS, budget=600, lexicon=LEXICON, how=how) for _ in range(300)]
    counts = [len(unmask(one.tolist(), SENTINELS)[1]) for one in masked]
    assert 3 < np.mean(counts) < 4.2  # 1 / (1 - 0.75), less those that met another


@given(st.lists(st.integers(0, 9), min_size=1, max_size=200), st.integers(8, 210), st.integers(0, 2**32))
def test_a_region_begins_with_the_block(block: list[int], budget: int, seed: int) -> None:
    """So a prompt reads the right side, its sentinels, and then the left side, which the hole goes on with."""
    how = EditorSpans(region=1.0)
    masked = masking.mask_as_editor(
        np.array(block), np.random.default_rng(seed), SENTINELS, budget=budget, lexicon=LEXICON, how=how
    )
    assert len(masked) <= budget
    document, spans = unmask(masked.tolist(), SENTINELS)
    assert document == block[: budget - 6]
    if not spans:
        assert Lines(np.array(document), LEXICON).draw(np.random.default_rng(0), lambda line: True) is None
        return
    (start, end), *rest = spans
    assert start == 0 < end
    right = document[end : rest[0][0] if rest else None]
    assert all(document[first] == 0 and last == len(document) for first, last in rest)  # from a line's end to the end
    prompt = causal_mask.prompt([[], right], SENTINELS) if right else [SENTINELS[0]]
    if rest:
        asked = [*prompt, SENTINELS[0], *document[:end], SENTINELS.end]
        assert masked.tolist()[: len(asked)] == asked
