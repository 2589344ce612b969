"""One word in its text as token sequences: the ways to ask how likely a word is that the paper compares (appendix A.2, Table 9).

A model's tokens span words, so the word in question seldom is a token of its own. What decides is where the tokens are broken:

| ending | the word is |
|---|---|
| break | tokenised by itself, and so are the text before it and the text after it |
| token | as it is tokenised in its place; a hole grows until it begins and ends where a token does |
| region | as in `token`, and scored together with the next ten tokens, `near`; in a hole with all the text before it as well |

| format | sequence, `\\|` where tokens are broken |
|---|---|
| left-break | left \\| word |
| left-token | left word |
| left-region | left word near |
| left-right-break | left \\| word \\| right |
| left-right | left word right |
| infill-break | left \\| m0 \\| right \\| m1 m0 \\| word \\| end |
| infill-token | before m0 after m1 m0 token end |
| infill-region | m0 far m1 m0 left word near end |

`token` are the tokens that cover the word, `before` and `after` those around them, and `far` what follows `near`. Tokens
depend on the word, so `token`, `near` and `far` begin and end only at places where the tokens of all words asked about do: each
sequence scores the same text but for the word. The score of a word is the log-probability of its whole sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from incoder_model import causal_mask
from incoder_model.causal_mask import Sentinels
from incoder_model.tokenizer import Tokenizer

NEAR = 10  # tokens after the word that belong to its region

Sequences = dict[str, dict[str, list[int]]]  # by format, by word


@dataclass(frozen=True)
class Pieces:
    """A text with the word in question in it, as tokens."""

    left: list[int]  # before the word, by itself
    word: list[int]  # by itself
    right: list[int]  # after the word, by itself
    upto: list[int]  # left and word, tokenised together
    before: list[int]  # the text in one piece, cut at token borders: before the word,
    token: list[int]  # what covers the word,
    near: list[int]  # the next ten or more,
    far: list[int]  # and the rest


def _hole(left: list[int], right: list[int], span: list[int], sentinels: Sentinels) -> list[int]:
    return [*causal_mask.prompt([left, right], sentinels), sentinels[0], *span, sentinels.end]


FORMATS: dict[str, Callable[[Pieces, Sentinels], list[int]]] = {
    "left-break": lambda p, _: [*p.left, *p.word],
    "left-token": lambda p, _: p.upto,
    "left-region": lambda p, _: [*p.before, *p.token, *p.near],
    "left-right-break": lambda p, _: [*p.left, *p.word, *p.right],
    "left-right": lambda p, _: [*p.before, *p.token, *p.near, *p.far],
    "infill-break": lambda p, s: _hole(p.left, p.right, p.word, s),
    "infill-token": lambda p, s: _hole(p.before, [*p.near, *p.far], p.token, s),
    "infill-region": lambda p, s: _hole([], p.far, [*p.before, *p.token, *p.near], s),
}


def pieces(left: str, words: Sequence[str], right: str, tokenizer: Tokenizer) -> dict[str, Pieces]:
    """The pieces of `left` + word + `right` for each of the `words`."""
    whole = {word: tokenizer.encode(left + word + right) for word in words}
    before, behind = (len(side.encode("utf-8", "replace")) for side in (left, right))
    # Token borders, counted in bytes: those of the left side from the start of the text, those of the right side to its end.
    starts, rests = [], []
    for tokens in whole.values():
        borders = [0, *accumulate(len(tokenizer.token_bytes[token]) for token in tokens)]
        starts.append({border: i for i, border in enumerate(borders) if border <= before})
        rests.append({borders[-1] - border: i for i, border in enumerate(borders) if borders[-1] - border <= behind})
    start = max(set.intersection(*map(set, starts)))
    shared = set.intersection(*map(set, rests))
    rest = max(shared)
    # The text's end is a border of all; it closes a region that the text is too short for.
    ends = [border for border in shared if all(index[border] >= index[rest] + NEAR for index in rests)]
    end = max(ends, default=0)
    apart = {"left": tokenizer.encode(left), "right": tokenizer.encode(right)}
    return {
        word: Pieces(
            word=tokenizer.encode(word),
            upto=tokenizer.encode(left + word),
            before=tokens[: first[start]],
            token=tokens[first[start] : last[rest]],
            near=tokens[last[rest] : last[end]],
            far=tokens[last[end] :],
            **apart,
        )
        for (word, tokens), first, last in zip(whole.items(), starts, rests, strict=True)
    }


def sequences(
    left: str,
    words: Sequence[str],
    right: str,
    formats: Sequence[str],
    tokenizer: Tokenizer,
    *,
    front: Sequence[int],
    context: int,
) -> Sequences:
    """What to score for each of `formats` and `words`: sequences of at most `context` tokens that begin with `front`.

    A text too long loses what is farthest from the word, on both sides alike. Raises ValueError when not even the word fits.
    """
    sides = tokenizer.encode(left), tokenizer.encode(right)
    while True:
        cut = pieces(left, words, right, tokenizer)
        built = {
            name: {word: [*front, *FORMATS[name](cut[word], tokenizer.sentinels)] for word in words} for name in formats
        }
        excess = max(len(tokens) for by_word in built.values() for tokens in by_word.values()) - context
        if excess <= 0:
            return built
        if not any(sides):
            raise ValueError(f"{context} tokens of context have no room for a word and what stands around it")
        kept = _kept(len(sides[0]), len(sides[1]), excess)
        sides = sides[0][len(sides[0]) - kept[0] :], sides[1][: kept[1]]
        # What is left of a character that was cut through goes with the rest.
        left, right = (tokenizer.decode_bytes(side).decode("utf-8", "ignore") for side in sides)


def _kept(left: int, right: int, excess: int) -> tuple[int, int]:
    """How many tokens of each side stay when `excess` go, the longer side's first."""
    room = max(0, left + right - excess)
    kept_left = min(left, max(room // 2, room - right))
    return kept_left, min(right, room - kept_left)
