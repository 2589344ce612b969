"""Filling holes: text with holes in, the text that goes into them out.

    one hole     <|endoftext|> header left <|mask:0|> right <|mask:1|> <|mask:0|>  ->  span <|endofmask|>
    as region    <|endoftext|> <|mask:0|> right <|mask:1|> <|mask:0|> header left  ->  span <|endofmask|>
    many holes   the same prompt with more sentinels; each filled span stays in the prompt of the next one
    no hole      <|endoftext|> header left  ->  what comes next

Which of the first two a model is asked by, its config.json says: the region (paper appendix A.2) is for models that were trained
with many of them. There the span begins with the header, and filling is going on with a text whose right side was read before.

Beginnings already typed are forced onto the span (see `healing`), so `left` and `right` can stay as they are while a
person types, and with them the engine's cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol

import numpy as np

from incoder_model import causal_mask
from incoder_model.config import ModelConfig
from incoder_model.engine import Engine, Stop, Stopped, never
from incoder_model.lookup import Lookup
from incoder_model.sampling import Sampling, choose
from incoder_model.span import Span, StopReason
from incoder_model.tokenizer import BOS, Tokenizer
from incoder_model.window import LEFT_SHARE, STEPS, Neighbour, cut_at_edges, fit, in_steps, show_neighbours

IDLE_CHUNK = 32  # tokens of a prompt between two looks at the stop flag, when nobody waits for it
LONGEST_TYPED = 200  # characters of a line that are forced; of a longer line the beginning counts as left context


Done = Callable[[str], bool]  # asked after every token about the text so far: whether it is enough


@dataclass
class Model:
    """All that filling needs: a tokenizer and an engine that fit each other. For one thread."""

    config: ModelConfig
    tokenizer: Tokenizer
    engine: Engine

    @property
    def context(self) -> int:
        return self.engine.context


class Reader(Protocol):
    """What a prompt is made for: `Model`, and `batch.Generator`."""

    @property
    def config(self) -> ModelConfig: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def context(self) -> int: ...


@dataclass(frozen=True)
class InfillRequest:
    """One hole between `left` and `right`, whose first characters, `typed`, are given."""

    left: str
    right: str
    header: str = ""  # the metadata line before `left`, see `metadata.header`
    typed: str = ""
    one_line: bool = False  # end with the line
    max_tokens: int = 64  # beyond what is typed
    least: float = -inf  # as a log-probability: it ends where all of it is less likely
    sampling: Sampling = field(default_factory=Sampling)
    left_share: float = LEFT_SHARE  # of the window that the sides have, when both are longer than theirs
    neighbours: tuple[Neighbour, ...] = ()  # the best one first
    neighbour_share: float = 0.0  # of the context, at most


@dataclass(frozen=True)
class Infill:
    """The text of a hole, what was typed of it left out, and how it came about."""

    text: str
    tokens: int  # generated, the typed ones left out
    log_probability: float  # of the generated text, given what is typed, in nats
    stopped: StopReason
    milliseconds: float
    chances: tuple[tuple[int, float], ...] = ()  # of each token, its end in `text` and its log-probability, where known


def infill(model: Model, request: InfillRequest, stop: Stop = never, done: Done | None = None) -> Infill:
    """Fill one hole. A left or right side too long for the context loses what is farthest from the hole."""
    started = time.perf_counter()
    request = typed_line(model, request)
    prompt, most, one_line, least = prompt_of(model, request), request.max_tokens, request.one_line, request.least
    typed, sampling = request.typed, request.sampling
    span = _say(model, prompt, typed, sampling, stop, max_tokens=most, one_line=one_line, least=least, done=done)
    return infill_of(span, started)


def prefill(model: Model, request: InfillRequest, stop: Stop = never) -> None:
    """Read what filling would have to read, so that it is there when the request comes. Ends early when `stop` is up."""
    request = typed_line(model, request)
    certain, _ = model.tokenizer.healer.take_back(model.tokenizer.encode(request.typed))
    with suppress(Stopped):
        model.engine.prefill([*prompt_of(model, request), *certain], stop, IDLE_CHUNK)


@dataclass(frozen=True)
class Pieces:
    """The tokens of a prompt, without those that only hold it together."""

    neighbours: list[int]
    header: list[int]
    left: list[int]
    right: list[int]


def prompt_of(reader: Reader, request: InfillRequest, *, region: bool | None = None) -> list[int]:
    """The tokens after which the span begins. They leave room for it, its typed beginning included.

    region: where the left side stands; None leaves it to the model.
    """
    sentinels, of = reader.tokenizer.sentinels, pieces_of(reader, request)
    front = [*of.neighbours, *of.header]
    if reader.config.region if region is None else region:
        return [BOS, *causal_mask.prompt([[], of.right], sentinels), sentinels[0], *front, *of.left]
    return [BOS, *front, *causal_mask.prompt([of.left, of.right], sentinels), sentinels[0]]


def pieces_of(reader: Reader, request: InfillRequest) -> Pieces:
    """What `prompt_of` puts together: of each piece, what there is room for."""
    tokenizer = reader.tokenizer
    header = tokenizer.encode(request.header)
    most, typed = request.max_tokens, len(tokenizer.encode(request.typed))
    step, frame = max(1, reader.context // STEPS), len(header) + 4  # 4: the beginning and the sentinels
    room = reader.context - frame - most - typed
    # In steps as well, whether little is typed or nothing, so that it stays the same along a line.
    room = max(min(room, 0), reader.context - frame - in_steps(most, step) - in_steps(typed + 1, step))
    left, right = (tokenizer.encode_side(side) for side in _near([request.left, request.right], reader))
    spare = max(0, room - in_steps(len(left), 4 * step) - len(right))
    front = show_neighbours(request.neighbours, min(spare, int(reader.context * request.neighbour_share)), tokenizer)
    left, right = cut_at_edges(left, right, room - len(front), step, request.left_share, tokenizer)
    return Pieces(front, header, left, right)


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
    if len(parts) == 2 and model.config.region:
        sampling = sampling or Sampling()
        request = InfillRequest(
            parts[0], parts[1], header, one_line=0 in one_line, max_tokens=max_tokens, sampling=sampling
        )
        return [infill(model, request, stop)]
    front = [BOS, *tokenizer.encode(header)]
    holes = len(parts) - 1
    first, *between, last = (tokenizer.encode(part) for part in _near(parts, model))
    needed = len(front) + sum(map(len, between)) + holes * (max_tokens + 3) + 1
    if needed > model.context:
        raise ValueError(
            f"{holes} holes of up to {max_tokens} tokens and the text between them need {needed} tokens, "
            f"and this model reads {model.context}; fill fewer holes at a time, or lower max_tokens"
        )
    first, last = fit(first, last, model.context - needed)
    prompt = [*front, *causal_mask.prompt([first, *between, last], sentinels)]
    filled: list[Infill] = []
    for k in range(holes):
        started = time.perf_counter()
        prompt.append(sentinels[k])
        span = _say(model, prompt, "", sampling or Sampling(), stop, max_tokens=max_tokens, one_line=k in one_line)
        prompt += [*span.tokens, sentinels.end]  # a span cut by its budget is closed, so that the next one can begin
        filled.append(infill_of(span, started))
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
    prompt = left_prompt(model, left, header, max_tokens)
    span = _say(model, prompt, "", sampling or Sampling(), stop, max_tokens=max_tokens, one_line=one_line)
    return infill_of(span, started)


def left_prompt(reader: Reader, left: str, header: str, max_tokens: int) -> list[int]:
    """The tokens after which `left` goes on. They leave room for `max_tokens`: a text that is too long loses its beginning."""
    front = [BOS, *reader.tokenizer.encode(header)]
    near = _near([left, ""], reader)[0]
    tokens, _ = fit(reader.tokenizer.encode(near), [], reader.context - max_tokens - len(front))
    return [*front, *tokens]


def typed_part(line_left: str) -> str:
    """The end of a line's left part that is forced onto the answer: all of it, or what follows a space near the limit."""
    if len(line_left) <= LONGEST_TYPED:
        return line_left
    tail = line_left[-LONGEST_TYPED:]
    return tail[tail.find(" ") + 1 :]


def typed_line(model: Model, request: InfillRequest) -> InfillRequest:
    """With no more forced than is good. As a region, what is typed follows the left side without a seam, so only its last
    line is still to be healed; otherwise its lines stay out of `left` unless they take a good part of the window."""
    end = request.typed.rfind("\n") + 1
    if not end or not (model.config.region or len(model.tokenizer.encode(request.typed)) > model.context // 4):
        return request
    return replace(request, left=request.left + request.typed[:end], typed=request.typed[end:])


def _near(parts: Sequence[str], reader: Reader) -> list[str]:
    """`parts` without what no context could hold, in front and behind: tokenising five megabytes to use two kilobytes is slow."""
    reach = reader.context * reader.tokenizer.healer.longest
    first, *between, last = parts
    cut = max(0, len(first) - reach)
    return [first[in_steps(cut, max(1, reach // STEPS)) :], *between, last[:reach]]


def _say(
    model: Model,
    prompt: Sequence[int],
    typed: str,
    sampling: Sampling,
    stop: Stop,
    *,
    max_tokens: int,
    one_line: bool,
    least: float = -inf,
    done: Done | None = None,
) -> Span:
    """The span that follows `prompt`, its beginning bound to spell what is `typed`."""
    room = model.context - len(prompt)
    span = Span(model.tokenizer, typed, max_tokens=max_tokens, room=room, one_line=one_line, least=least)
    rng = np.random.default_rng(sampling.seed)
    begun = [*prompt, *span.tokens]
    lookup = Lookup(model.engine, begun, span.last_words) if sampling.temperature == 0 else None
    try:
        scores = model.engine.prefill(begun, stop)
        while True:
            span.take(*choose(scores, sampling, rng, span.allowed))
            if not span.stopped and done is not None and done(span.text):
                span.stopped = "done"
            if span.stopped:
                break
            if stop():
                raise Stopped
            token = span.tokens[-1]
            scores = lookup.step(token, span.left) if lookup else model.engine.step(token)
    except Stopped:
        span.stopped = "cancelled"
    if lookup:
        lookup.close()
    return span


def infill_of(span: Span, started: float) -> Infill:
    """A span that has ended; `started`, by `time.perf_counter`, when it was asked for."""
    assert span.stopped
    milliseconds = (time.perf_counter() - started) * 1000
    return Infill(span.text, span.generated, span.log_probability, span.stopped, milliseconds, span.chances)
