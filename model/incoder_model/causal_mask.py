"""Causal masking: the one format that training writes and inference reads (Fried et al. 2022, section 2).

A document `A0 S0 A1 S1 A2` whose spans S0 and S1 are cut out becomes, token for token,

    A0 <|mask:0|> A1 <|mask:1|> A2 <|mask:0|> S0 <|endofmask|> <|mask:1|> S1 <|endofmask|>

so a left-to-right model that has learned such sequences fills hole k when it is asked to go on after the second
`<|mask:k|>`. Token ids come in, token ids go out; nothing here knows text, torch or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Span = tuple[int, int]  # [start, end) in tokens of the document

MAX_SENTINELS = 256
END_OF_MASK = "<|endofmask|>"


def sentinel_name(k: int) -> str:
    """The sentinel that marks hole `k`, as it is spelled in a tokenizer file."""
    return f"<|mask:{k}|>"


@dataclass(frozen=True)
class Sentinels:
    """Where a vocabulary keeps its sentinels: `count` consecutive ids from `first`, and the id of `<|endofmask|>`."""

    first: int
    count: int
    end: int

    def __getitem__(self, k: int) -> int:
        if not 0 <= k < self.count:
            raise ValueError(
                f"hole {k} has no sentinel: this vocabulary has {self.count}; ask for fewer holes at a time"
            )
        return self.first + k

    def __contains__(self, token: int) -> bool:
        return self.first <= token < self.first + self.count


# --- training: a document becomes a masked one -------------------------------------------------------------------


@dataclass(frozen=True)
class SpanDistribution:
    """How many spans and where. The defaults are the released code's choices, the alternatives the paper's text."""

    count: Literal["clamped", "truncated"] = "clamped"  # Poisson(1) clamped to [1, 255], or truncated to [1, 256]
    overlap: Literal["greedy", "redraw"] = "greedy"  # keep what fits of n*n candidates, or redraw the set until it fits

    def __post_init__(self) -> None:
        if self.count not in ("clamped", "truncated"):
            raise ValueError(f"span count is {self.count!r}; it must be 'clamped' or 'truncated'")
        if self.overlap not in ("greedy", "redraw"):
            raise ValueError(f"span overlap is {self.overlap!r}; it must be 'greedy' or 'redraw'")


def draw_count(rng: np.random.Generator, how: SpanDistribution) -> int:
    """The number of spans to cut: Poisson(1), at least one."""
    if how.count == "clamped":
        return int(np.clip(rng.poisson(1.0), 1, MAX_SENTINELS - 1))
    while not 1 <= (n := int(rng.poisson(1.0))) <= MAX_SENTINELS:
        pass
    return n


def draw_spans(length: int, n: int, rng: np.random.Generator, how: SpanDistribution) -> list[Span]:
    """At most `n` disjoint, non-empty spans of a document of `length` tokens, in order; endpoints are uniform.

    An empty span is dropped. (The released code let it overwrite one token, which was lost for good.)
    """
    # Of n random intervals, given that they are disjoint, the 2n sorted endpoints are uniform and pair up as neighbours:
    # so one draw does what redrawing the whole set until it fits would do.
    redrawn = how.overlap == "redraw"
    points = np.sort(rng.random(2 * n)).reshape(n, 2) if redrawn else np.sort(rng.random((n * n, 2)), axis=1)
    kept: list[Span] = []
    for start, end in zip(np.floor(points[:, 0] * length), np.floor(points[:, 1] * length + 0.5), strict=True):
        span = int(start), int(end)
        if span[0] < span[1] and all(span[1] <= a or b <= span[0] for a, b in kept):  # touching spans are allowed
            kept.append(span)
        if len(kept) == n:
            break
    return sorted(kept)


def mask(document: Sequence[int], spans: Sequence[Span], sentinels: Sentinels) -> list[int]:
    """Cut the sorted, disjoint `spans` out of `document` and append them: three tokens longer for every span."""
    body: list[int] = []
    tail: list[int] = []
    position = 0
    for k, (start, end) in enumerate(spans):
        if not position <= start <= end <= len(document):
            raise ValueError(f"span {k} is [{start}, {end}); spans must be sorted, disjoint and inside the document")
        body += [*document[position:start], sentinels[k]]
        tail += [sentinels[k], *document[start:end], sentinels.end]
        position = end
    return [*body, *document[position:], *tail]


def unmask(masked: Sequence[int], sentinels: Sentinels) -> tuple[list[int], list[Span]]:
    """The inverse of `mask`: the document and the spans that were cut out of it.

    Raises ValueError for a sequence that `mask` cannot have written, such as one cut before its last `<|endofmask|>`.
    """
    holes = [i for i, token in enumerate(masked) if token in sentinels]
    n = len(holes) // 2
    if [masked[i] for i in holes] != [sentinels[k] for k in range(n)] * 2:
        raise ValueError(
            "not a causally masked sequence: each sentinel must stand once as a hole and once before its span"
        )
    body = masked[: holes[n]] if n else masked
    document: list[int] = []
    spans: list[Span] = []
    position = 0
    for k in range(n):
        tail_end = holes[n + k + 1] if k + 1 < n else len(masked)
        span = masked[holes[n + k] + 1 : tail_end]
        if not span or span[-1] != sentinels.end or sentinels.end in span[:-1]:
            raise ValueError(f"not a causally masked sequence: span {k} does not end in {END_OF_MASK}")
        document += body[position : holes[k]]
        spans.append((len(document), len(document) + len(span) - 1))
        document += span[:-1]
        position = holes[k] + 1
    return [*document, *body[position:]], spans


def mask_block(
    block: Sequence[int], rng: np.random.Generator, sentinels: Sentinels, *, budget: int, how: SpanDistribution
) -> list[int]:
    """One training sequence of at most `budget` tokens from one block of a document.

    The block is cut before it is masked, three tokens for each span, so that the last `<|endofmask|>` is always there to
    be learned. (The released code cut afterwards, so a full block taught the model never to end its last span.)
    """
    n = min(draw_count(rng, how), sentinels.count, max(1, budget // 4))
    block = block[: max(0, budget - 3 * n)]
    return mask(block, draw_spans(len(block), n, rng, how), sentinels)


def loss_weights(targets: np.ndarray, sentinels: Sentinels) -> np.ndarray:
    """1 where a target is learned, 0 for the sentinels: where holes are is the writer's choice (paper section 2.1)."""
    return ((targets < sentinels.first) | (targets >= sentinels.first + sentinels.count)).astype(np.float32)


# --- inference: text around holes becomes a prompt ---------------------------------------------------------------


def prompt(parts: Sequence[Sequence[int]], sentinels: Sentinels) -> list[int]:
    """The `parts` around N = len(parts) - 1 holes, ready for `<|mask:0|>` and the first span to follow.

    When text stands after the last hole, one more sentinel follows it (footnote 3 of the paper): it says that the
    document goes on, and without it the model takes the rest of the window for the span.
    """
    *before, last = parts
    tokens = [token for k, part in enumerate(before) for token in (*part, sentinels[k])]
    return [*tokens, *last, sentinels[len(before)]] if last else tokens
