"""Several ways to fill one hole, for a person to choose from: a request in, Infills out.

The first is what `infill` says, the likeliest token each time. The others are drawn: the prompt is read once, its keys and values
are copied, and all of them go on side by side, which costs little more than one of them. An evaluator that cannot do that
says one after the other. What is typed is forced onto each.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np

from incoder_model.engine import Stop, Stopped, never
from incoder_model.infill import Infill, InfillRequest, Model, infill, infill_of, prompt_of, typed_line
from incoder_model.sampling import Sampling, choose
from incoder_model.span import Span

DRAWN = Sampling(temperature=0.8, top_p=0.95)  # wild enough to differ, tame enough to be code


def candidates(
    model: Model, request: InfillRequest, drawn: int, stop: Stop = never, seconds: float = math.inf
) -> list[Infill]:
    """The greedy one, and `drawn` others in the order of their mean log-probability; equal ones may be among them.

    The same request gives the same candidates. Those drawn that have not ended after `seconds` are left out; once `stop` is up,
    all of them are.
    """
    found = [infill(model, replace(request, sampling=Sampling()), stop)]
    if drawn and not stop():
        with suppress(Stopped):
            found += sorted(_draw(model, request, drawn, stop, seconds), key=mean_log_probability, reverse=True)
    return found


def mean_log_probability(infill: Infill) -> float:
    """Of a token, in nats."""
    return infill.log_probability / max(1, infill.tokens)


def _draw(model: Model, request: InfillRequest, rows: int, stop: Stop, seconds: float) -> list[Infill]:
    """Raises Stopped when `stop` is up."""
    started = time.perf_counter()
    request = typed_line(model, request)
    prompt = prompt_of(model, request)
    room, most = model.context - len(prompt), request.max_tokens
    spans = [
        Span(model.tokenizer, request.typed, max_tokens=most, room=room, one_line=request.one_line) for _ in range(rows)
    ]
    begun = [*prompt, *spans[0].tokens]
    first = model.engine.prefill(begun, stop)  # (vocab_size,)
    branches = model.engine.branch(rows, most + len(request.typed.encode("utf-8", "replace")))
    if branches is None:
        return _one_by_one(model, request, rows, stop, started + seconds)
    streams = [np.random.default_rng(row) for row in range(rows)]
    scores = np.broadcast_to(first, (rows, len(first)))
    while True:
        for span, chances, rng in zip(spans, scores, streams, strict=True):
            if not span.stopped:
                span.take(*choose(chances, DRAWN, rng, span.allowed))
        if all(span.stopped for span in spans) or time.perf_counter() - started > seconds:
            return [infill_of(span, started) for span in spans if span.stopped]
        if stop():
            raise Stopped
        # A row that has ended goes on with any token, and nobody looks.
        scores = branches.step([0 if span.stopped else span.tokens[-1] for span in spans])
        model.engine.evaluated += rows


def _one_by_one(model: Model, request: InfillRequest, rows: int, stop: Stop, until: float) -> list[Infill]:
    drawn = []
    for row in range(rows):
        one = infill(
            model,
            replace(request, sampling=replace(DRAWN, seed=row)),
            lambda: stop() or time.perf_counter() > until,
        )
        if one.stopped == "cancelled":
            break
        drawn.append(one)
    return drawn
