"""The sentinel format: masking and its inverse, the drawing of spans against the released code's figures, the prompt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incoder_model.causal_mask import (
    MAX_SENTINELS,
    Sentinels,
    Span,
    SpanDistribution,
    draw_count,
    draw_spans,
    loss_weights,
    mask,
    mask_block,
    prompt,
    sentinel_name,
    unmask,
)

SENTINELS = Sentinels(first=600, count=256, end=856)
FEW = Sentinels(first=600, count=3, end=603)
RELEASED, PAPER = SpanDistribution(), SpanDistribution("truncated", "redraw")

tokens = st.lists(st.integers(0, 599), max_size=40)
distributions = st.builds(
    SpanDistribution, st.sampled_from(["clamped", "truncated"]), st.sampled_from(["greedy", "redraw"])
)


@st.composite
def documents_with_spans(draw: st.DrawFn) -> tuple[list[int], list[Span]]:
    """Any disjoint spans: touching ones, empty ones, the whole document."""
    document = draw(tokens)
    ends = sorted(draw(st.lists(st.integers(0, len(document)), max_size=12)))
    return document, list(zip(ends[0::2], ends[1::2], strict=False))


def test_the_format_token_for_token() -> None:
    m0, m1, end = 600, 601, 856
    assert mask([1, 2, 3, 4, 5], [(1, 2), (3, 5)], SENTINELS) == [1, m0, 3, m1, m0, 2, end, m1, 4, 5, end]
    assert mask([1, 2], [(0, 2)], SENTINELS) == [m0, m0, 1, 2, end]
    assert mask([1, 2], [], SENTINELS) == [1, 2]
    assert [sentinel_name(0), sentinel_name(255)] == ["<|mask:0|>", "<|mask:255|>"]


@given(documents_with_spans())
def test_unmasking_undoes_masking(case: tuple[list[int], list[Span]]) -> None:
    document, spans = case
    masked = mask(document, spans, SENTINELS)
    assert len(masked) == len(document) + 3 * len(spans)
    assert unmask(masked, SENTINELS) == (document, spans)


@given(documents_with_spans(), st.data())
def test_a_masked_sequence_that_was_cut_short_is_refused(
    case: tuple[list[int], list[Span]], data: st.DataObject
) -> None:
    """Unless it was cut before its first sentinel: then it is the beginning of the document, and nothing can tell."""
    masked = mask(*case, SENTINELS)
    cut = masked[: data.draw(st.integers(0, max(0, len(masked) - 1)))]
    if any(token in SENTINELS for token in cut):
        with pytest.raises(ValueError, match="not a causally masked sequence"):
            unmask(cut, SENTINELS)
    else:
        assert unmask(cut, SENTINELS) == (cut, [])


@given(st.lists(st.sampled_from([1, 2, 600, 601, 602, 856]), max_size=12))
def test_what_unmasks_at_all_masks_to_itself(sequence: list[int]) -> None:
    """So unmask accepts nothing that it would misread; a stray end outside a span is the document's own."""
    try:
        document, spans = unmask(sequence, SENTINELS)
    except ValueError:
        return
    assert mask(document, spans, SENTINELS) == sequence


@pytest.mark.parametrize(
    "sequence", [[600], [600, 600], [600, 600, 1], [601, 601, 1, 856], [600, 600, 1, 856, 2, 856], [600, 601, 600]]
)
def test_what_masking_cannot_have_written_is_refused(sequence: list[int]) -> None:
    with pytest.raises(ValueError, match="not a causally masked sequence"):
        unmask(sequence, SENTINELS)


@pytest.mark.parametrize("spans", [[(2, 1)], [(0, 3), (2, 4)], [(3, 4), (0, 1)], [(0, 6)], [(-1, 2)]])
def test_spans_out_of_order_or_outside_are_refused(spans: list[Span]) -> None:
    with pytest.raises(ValueError, match="sorted, disjoint and inside"):
        mask([1, 2, 3, 4, 5], spans, SENTINELS)


def test_more_holes_than_sentinels_are_refused() -> None:
    with pytest.raises(ValueError, match="hole 3 has no sentinel: this vocabulary has 3"):
        mask([1, 2, 3, 4], [(i, i + 1) for i in range(4)], FEW)
    with pytest.raises(ValueError, match="hole 3 has no sentinel"):
        prompt([[1]] * 4, FEW)


# --- training ----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 599), max_size=80),
    st.integers(0, 90),
    st.integers(0, 2**32),
    distributions,
    st.sampled_from([SENTINELS, FEW]),
)
def test_a_masked_block_fits_its_budget_and_ends_its_last_span(
    block: list[int], budget: int, seed: int, how: SpanDistribution, sentinels: Sentinels
) -> None:
    masked = mask_block(block, np.random.default_rng(seed), sentinels, budget=budget, how=how)
    assert len(masked) <= budget
    document, spans = unmask(masked, sentinels)
    assert document == block[: len(document)]
    assert all(start < end for start, end in spans)
    if spans:
        assert masked[-1] == sentinels.end
        assert len(document) >= min(len(block), budget - 3 * sentinels.count)


@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 2**32), distributions)
def test_drawn_spans_are_sorted_disjoint_and_hold_something(
    length: int, n: int, seed: int, how: SpanDistribution
) -> None:
    spans = draw_spans(length, n, np.random.default_rng(seed), how)
    assert len(spans) <= n
    flat = [point for span in spans for point in span]
    assert flat == sorted(flat)
    assert all(0 <= start < end <= length for start, end in spans)


class Drawn:
    """A generator that draws what it is told."""

    def __init__(self, *points: float):
        self.points = np.array(points)

    def random(self, size: int | tuple[int, int]) -> np.ndarray:
        return self.points.reshape(size)


@pytest.mark.parametrize(("points", "span"), [((0.46, 0.19), (1, 5)), ((0.0, 0.999), (0, 10)), ((0.12, 0.13), None)])
def test_a_start_is_rounded_down_and_an_end_to_the_nearest(points: tuple[float, float], span: Span | None) -> None:
    for how in (RELEASED, SpanDistribution(overlap="redraw")):
        drawn = draw_spans(10, 1, Drawn(*points), how)  # pyright: ignore[reportArgumentType]
        assert drawn == ([span] if span else [])


def test_draws_are_a_function_of_the_generator() -> None:
    drawn = [mask_block(range(500), np.random.default_rng(3), SENTINELS, budget=512, how=RELEASED) for _ in range(2)]
    assert drawn[0] == drawn[1] != mask_block(range(500), np.random.default_rng(4), SENTINELS, budget=512, how=RELEASED)


def shares(counts: np.ndarray) -> list[float]:
    return [float((counts == n).mean()) for n in (1, 2, 3)]


def test_span_counts_as_in_the_released_code_and_as_in_the_paper() -> None:
    rng = np.random.default_rng(0)
    clamped = np.array([draw_count(rng, RELEASED) for _ in range(50_000)])
    assert shares(clamped) == pytest.approx([0.736, 0.184, 0.061], abs=0.007)
    truncated = np.array([draw_count(rng, PAPER) for _ in range(50_000)])
    assert shares(truncated) == pytest.approx([0.582, 0.291, 0.097], abs=0.007)
    assert min(clamped.min(), truncated.min()) == 1
    assert max(clamped.max(), truncated.max()) < MAX_SENTINELS


def test_realised_spans_as_in_the_released_code() -> None:
    """At the corpus' mean length of 568 tokens: 81.6 % one span, 14.3 % two, 3.4 % three; 37 % of a document is masked."""
    rng, length = np.random.default_rng(0), 568
    drawn = [draw_spans(length, draw_count(rng, RELEASED), rng, RELEASED) for _ in range(20_000)]
    assert shares(np.array([len(spans) for spans in drawn])) == pytest.approx([0.816, 0.143, 0.034], abs=0.01)
    lengths = [[end - start for start, end in spans] for spans in drawn]
    assert np.mean([sum(each) for each in lengths]) / length == pytest.approx(0.37, abs=0.01)
    assert np.mean([one for each in lengths for one in each]) / length == pytest.approx(0.30, abs=0.01)


def test_one_draw_does_what_redrawing_until_it_fits_would_do() -> None:
    """Against the paper's procedure taken literally: draw all, and draw all again while two of them overlap."""
    rng, length, n, times = np.random.default_rng(0), 10_000, 2, 4000
    literal = []
    while len(literal) < times:
        (a, b), (c, d) = sorted(sorted(pair) for pair in rng.random((n, 2)))
        if b <= c:
            literal.append([a, b, c, d])
    ours = [np.ravel(draw_spans(length, n, rng, PAPER)) / length for _ in range(times)]
    ours = [points for points in ours if len(points) == 2 * n]  # rounding makes two of them overlap now and then
    assert len(ours) > 0.99 * times
    for statistic in (np.mean, np.std):
        assert statistic(ours, axis=0) == pytest.approx(statistic(literal, axis=0), abs=0.015)


@pytest.mark.parametrize("wrong", [{"count": "uniform"}, {"overlap": "never"}])
def test_an_unknown_distribution_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="it must be"):
        SpanDistribution(**wrong)  # pyright: ignore[reportArgumentType]


@given(tokens, st.integers(0, 2**32))
def test_only_sentinels_weigh_nothing(block: list[int], seed: int) -> None:
    masked = mask_block(block, np.random.default_rng(seed), SENTINELS, budget=60, how=RELEASED)
    weights = loss_weights(np.array(masked, np.int64), SENTINELS)
    assert weights.dtype == np.float32
    assert weights.tolist() == [0.0 if 600 <= token < 856 else 1.0 for token in masked]


# --- inference ---------------------------------------------------------------------------------------------------


def test_prompts_token_for_token() -> None:
    m0, m1, m2 = 600, 601, 602
    assert prompt([[1, 2], [3]], SENTINELS) == [1, 2, m0, 3, m1]
    assert prompt([[1, 2], []], SENTINELS) == [
        1,
        2,
        m0,
    ]  # nothing follows the hole, so nothing says that something does
    assert prompt([[1], [2], [3]], SENTINELS) == [1, m0, 2, m1, 3, m2]
    assert prompt([[], [], []], SENTINELS) == [m0, m1]


@given(documents_with_spans())
def test_a_prompt_is_how_training_sequences_begin(case: tuple[list[int], list[Span]]) -> None:
    """Where nothing follows the last hole, a prompt and its answers are exactly what `mask` writes."""
    document, spans = case
    spans = [span for span in spans if span[1] < len(document)]
    start = spans[-1][1] if spans else 0
    spans.append((start, len(document)))
    parts, position = [], 0
    for a, b in spans:
        parts.append(document[position:a])
        position = b
    answers = [t for k, (a, b) in enumerate(spans) for t in (SENTINELS[k], *document[a:b], SENTINELS.end)]
    assert prompt([*parts, []], SENTINELS) + answers == mask(document, spans, SENTINELS)
