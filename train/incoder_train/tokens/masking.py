"""Causal masking of arrays: `incoder_model.causal_mask` is the plain twin, list for list and number for number.

A block of token ids (time,) goes in, with random numbers and a budget; its masked sequence, int64, comes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from incoder_model.causal_mask import Sentinels, Span, SpanDistribution, draw_count, draw_spans
from incoder_train.tokens.spans import (
    EditorSpans,
    Lexicon,
    Lines,
    editor_span,
    editor_spans,
    line_end_behind,
    truncated,
)

GOES_ON = 0.8  # of the regions' right sides end before the block does: a prompt says so with its last sentinel
ROOMY = 32  # tokens of a sample for each of an editor's holes, so that most of it stays text


def mask(document: np.ndarray, spans: Sequence[Span], sentinels: Sentinels) -> np.ndarray:
    """`causal_mask.mask` for sorted, disjoint spans, which it does not check."""
    masked = np.empty(len(document) + 3 * len(spans), np.int64)
    body, tail = 0, len(document) + sum(1 + start - end for start, end in spans)  # where the next token of each goes
    position = 0
    for k, (start, end) in enumerate(spans):
        hole, over = body + start - position, tail + 1 + end - start
        masked[body:hole] = document[position:start]
        masked[hole] = masked[tail] = sentinels[k]
        masked[tail + 1 : over] = document[start:end]
        masked[over] = sentinels.end
        body, tail, position = hole + 1, over + 1, end
    masked[body : body + len(document) - position] = document[position:]
    return masked


def mask_block(
    block: np.ndarray, rng: np.random.Generator, sentinels: Sentinels, *, budget: int, how: SpanDistribution
) -> np.ndarray:
    """`causal_mask.mask_block`: the paper's spans, in at most `budget` tokens."""
    n = min(draw_count(rng, how), sentinels.count, max(1, budget // 4))
    block = block[: max(0, budget - 3 * n)]
    return mask(block, draw_spans(len(block), n, rng, how), sentinels)


def mask_as_editor(
    block: np.ndarray,
    rng: np.random.Generator,
    sentinels: Sentinels,
    *,
    budget: int,
    lexicon: Lexicon,
    how: EditorSpans,
) -> np.ndarray:
    """A hole like a cursor's, or several, or none in a block without a line for it; sometimes the text behind is cut."""
    if how.region and rng.random() < how.region:
        return mask_region(block[: budget - 6], rng, sentinels, lexicon=lexicon, how=how)
    n = int(rng.geometric(1 - how.more_holes)) if how.more_holes else 1
    n = min(n, sentinels.count, max(1, budget // ROOMY))
    block = block[: budget - 3 * n]
    lines = Lines(block, lexicon)
    spans = editor_spans(lines, n, rng, how)
    if spans and rng.random() < how.truncate_right:
        block = block[: truncated(lines, spans[-1], rng)]
    return mask(block, spans, sentinels)


def mask_region(
    block: np.ndarray, rng: np.random.Generator, sentinels: Sentinels, *, lexicon: Lexicon, how: EditorSpans
) -> np.ndarray:
    """One hole whose span begins where the block does (paper appendix A.2, "region"), and mostly a second one at the end:

        <|mask:0|> right <|mask:1|> <|mask:0|> left and hole <|endofmask|> <|mask:1|> the rest <|endofmask|>

    The model reads what stands right of a cursor first and then goes on with what stands left of it, as any language model
    would: nothing has to be found again behind a sentinel, and every token of the block is learned.
    """
    lines = Lines(block, lexicon)
    hole = editor_span(lines, rng, how)
    if hole is None:
        return mask(block, [], sentinels)
    rest = line_end_behind(lines, hole[1], rng, GOES_ON)
    return mask(block, [(0, hole[1]), *([] if rest is None else [(rest, len(block))])], sentinels)
