"""Filling holes: text with holes in, the text that goes into them out.

    one hole     <|endoftext|> header left <|mask:0|> right <|mask:1|> <|mask:0|>  ->  span <|endofmask|>
    many holes   the same prompt with more sentinels; each filled span stays in the prompt of the next one
    no hole      <|endoftext|> header left  ->  what comes next

Beginnings already typed are forced onto the span (see `healing`), so `left` and `right` can stay as they are while a
person types, and with them the engine's cache.
"""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from incoder_model import causal_mask
from incoder_model.config import ModelConfig
from incoder_model.engine import Engine, Stop, Stopped, never
from incoder_model.healing import Healer
from incoder_model.sampling import Sampling, choose
from incoder_model.tokenizer import BOS, Tokenizer, decode_utf8

StopReason = Literal["end-of-mask", "end-of-text", "line", "budget", "context", "cancelled"]

LEFT_SHARE = 0.7  # of the window, when there is more text on both sides than fits
LONGEST_TYPED = 200  # characters of a line that are forced; of a longer line the beginning counts as left context


@dataclass
class Model:
    """All that filling needs: a tokenizer and an engine that fit each other. For one thread."""

    config: ModelConfig
    tokenizer: Tokenizer
    engine: Engine

    @cached_property
    def healer(self) -> Healer:
        return Healer(self.tokenizer.token_bytes)

    @cached_property
    def ends(self) -> frozenset[int]:
        """Tokens that end a span, besides `<|endofmask|>`: all special ones, and what opens or closes a file's metadata."""
        delimiters = (self.tokenizer.encode(text) for text in ("<|", "<|/"))
        special = (i for i, text in enumerate(self.tokenizer.token_bytes) if not text)
        return frozenset([*special, *(ids[0] for ids in delimiters if len(ids) == 1)])


@dataclass(frozen=True)
class InfillRequest:
    """One hole between `left` and `right`, whose first characters, `typed`, are given."""

    left: str
    right: str
    header: str = ""  # the metadata line before `left`, see `metadata.header`
    typed: str = ""
    one_line: bool = False  # end with the line
    max_tokens: int = 64  # beyond what is typed
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class Infill:
    """The text of a hole, what was typed of it left out, and how it came about."""

    text: str
    tokens: int  # generated, the typed ones left out
    log_probability: float  # of the generated text, in nats
    stopped: StopReason
    milliseconds: float


def infill(model: Model, request: InfillRequest, stop: Stop = never) -> Infill:
    """Fill one hole. A left or right side too long for the context loses what is farthest from the hole."""
    started = time.perf_counter()
    limits = _Limits(request.max_tokens, request.one_line, request.sampling)
    span = _generate(model, prompt_of(model, request), model.tokenizer.encode(request.typed), limits, stop)
    return span.infill(model.tokenizer, started, given=request.typed)


def prompt_of(model: Model, request: InfillRequest) -> list[int]:
    """The tokens after which the span begins, what is typed of it included. They leave room for the span."""
    tokenizer = model.tokenizer
    header = [BOS, *tokenizer.encode(request.header)]
    typed = tokenizer.encode(request.typed)
    room = model.engine.context - request.max_tokens - len(header) - len(typed) - 3  # 3: the sentinels
    left, right = (tokenizer.encode(side) for side in _near([request.left, request.right], model))
    left, right = fit(left, right, room)
    return [*header, *causal_mask.prompt([left, right], tokenizer.sentinels), tokenizer.sentinels[0]]


def infill_holes(
    model: Model,
    parts: Sequence[str],
    *,
    header: str = "",
    max_tokens: int = 64,
    one_line: Container[int] = (),
    sampling: Sampling | None = None,
    stop: Stop = never,
) -> list[Infill]:
    """Fill the len(parts) - 1 holes between `parts` in one pass, left to right; each sees those before it filled.

    `one_line` names the holes that end with their line.
    What stands before the first and after the last hole may be cut to fit the context; raises ValueError when the holes and
    the text between them do not fit by themselves.
    """
    tokenizer, sentinels = model.tokenizer, model.tokenizer.sentinels
    front = [BOS, *tokenizer.encode(header)]
    holes = len(parts) - 1
    first, *between, last = (tokenizer.encode(part) for part in _near(parts, model))
    needed = len(front) + sum(map(len, between)) + holes * (max_tokens + 3) + 1
    if needed > model.engine.context:
        raise ValueError(
            f"{holes} holes of up to {max_tokens} tokens and the text between them need {needed} tokens, "
            f"and this model reads {model.engine.context}; fill fewer holes at a time, or lower max_tokens"
        )
    first, last = fit(first, last, model.engine.context - needed)
    prompt = [*front, *causal_mask.prompt([first, *between, last], sentinels)]
    filled: list[Infill] = []
    for k in range(holes):
        started = time.perf_counter()
        prompt.append(sentinels[k])
        span = _generate(model, prompt, [], _Limits(max_tokens, k in one_line, sampling or Sampling()), stop)
        prompt += [*span.tokens, sentinels.end]  # a span cut by its budget is closed, so that the next one can begin
        filled.append(span.infill(tokenizer, started))
    return filled


def continue_text(
    model: Model,
    left: str,
    *,
    header: str = "",
    max_tokens: int = 64,
    one_line: bool = False,
    sampling: Sampling | None = None,
    stop: Stop = never,
) -> Infill:
    """What comes after `left`, from left to right, as any language model would go on."""
    started = time.perf_counter()
    front = [BOS, *model.tokenizer.encode(header)]
    near = _near([left, ""], model)[0]
    tokens, _ = fit(model.tokenizer.encode(near), [], model.engine.context - max_tokens - len(front))
    span = _generate(model, [*front, *tokens], [], _Limits(max_tokens, one_line, sampling or Sampling()), stop)
    return span.infill(model.tokenizer, started)


def typed_part(line_left: str) -> str:
    """The end of a line's left part that is forced onto the answer: all of it, or what follows a space near the limit."""
    if len(line_left) <= LONGEST_TYPED:
        return line_left
    tail = line_left[-LONGEST_TYPED:]
    return tail[tail.find(" ") + 1 :]


def fit(left: list[int], right: list[int], room: int) -> tuple[list[int], list[int]]:
    """What of the two sides fits into `room` tokens: all of the shorter side if it takes less than its share, and the
    nearest of the other. Raises ValueError when there is no room at all."""
    if room < 0:
        raise ValueError("what is typed and what may be generated leave no room for context; lower max_tokens")
    for_right = max(min(len(right), int(room * (1 - LEFT_SHARE))), min(len(right), room - len(left)))
    for_left = min(len(left), room - for_right)
    return left[len(left) - for_left :], right[:for_right]


def _near(parts: Sequence[str], model: Model) -> list[str]:
    """`parts` without what no context could hold, in front and behind: tokenising five megabytes to use two kilobytes is slow."""
    reach = model.engine.context * model.healer.longest
    first, *between, last = parts
    return [first[-reach:], *between, last[:reach]]


@dataclass(frozen=True)
class _Limits:
    max_tokens: int
    one_line: bool
    sampling: Sampling

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is {self.max_tokens}; it must be at least 1")


@dataclass
class _Span:
    """A span while it is generated."""

    tokens: list[int]  # those of the typed beginning included
    generated: int = 0  # of them, those that reach beyond the beginning
    log_probability: float = 0.0
    stopped: StopReason = "budget"

    def infill(self, tokenizer: Tokenizer, started: float, given: str = "") -> Infill:
        text = tokenizer.decode_bytes(self.tokens)[len(given.encode("utf-8", "replace")) :]
        milliseconds = (time.perf_counter() - started) * 1000
        return Infill(decode_utf8(text), self.generated, self.log_probability, self.stopped, milliseconds)


def _generate(model: Model, prompt: Sequence[int], typed: Sequence[int], limits: _Limits, stop: Stop) -> _Span:
    """The span that follows `prompt`, its beginning bound to spell the `typed` tokens."""
    token_bytes, newlines = model.tokenizer.token_bytes, model.tokenizer.newlines
    certain, rest = model.healer.take_back(typed)
    span = _Span(certain)
    rng = np.random.default_rng(limits.sampling.seed)
    try:
        scores = model.engine.prefill([*prompt, *certain], stop)
        while True:
            token, log_probability = choose(scores, limits.sampling, rng, model.healer.allowed(rest) if rest else None)
            beyond = not rest or len(token_bytes[token]) > len(rest)  # else it only repeats what was typed
            if beyond and token in model.ends:
                span.stopped = "end-of-mask" if token == model.tokenizer.sentinels.end else "end-of-text"
                break
            if beyond and limits.one_line and token in newlines:
                span.stopped = "line"
                break
            span.tokens.append(token)
            if beyond:
                span.generated += 1
                span.log_probability += log_probability
            rest = rest[len(token_bytes[token]) :]
            if span.generated == limits.max_tokens:
                span.stopped = "budget"
                break
            if len(prompt) + len(span.tokens) > model.engine.context:
                span.stopped = "context"
                break
            if stop():
                raise Stopped
            scores = model.engine.step(token)
    except Stopped:
        span.stopped = "cancelled"
    return span
