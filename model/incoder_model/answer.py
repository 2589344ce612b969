"""A short answer, such as a type or a name: a span that ends as soon as it says enough, and how sure the model is of it.

tokens of a prompt, what is typed of the answer  ->  its text, and the probability of each of its tokens
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from incoder_model.engine import Stop, Stopped, never
from incoder_model.infill import Model
from incoder_model.sampling import Sampling, choose
from incoder_model.span import Span, StopReason

GREEDY = Sampling()


@dataclass(frozen=True)
class Answer:
    """What is said beyond what is typed. The token that ends it (a stop, a line end, the end of the mask) has its say, too:
    `dict` is sure only if the model would not go on with `[str, int]`."""

    text: str
    log_probabilities: tuple[float, ...]  # of its tokens, in nats; where typed text binds a token, given that text
    stopped: StopReason

    @property
    def probability(self) -> float:
        """The geometric mean over the tokens; 0 for no token."""
        return float(np.exp(np.mean(self.log_probabilities))) if self.log_probabilities else 0.0


def answer(
    model: Model,
    prompt: Sequence[int],
    *,
    typed: str = "",
    max_tokens: int,
    enough: Callable[[str], bool],
    stop: Stop = never,
) -> Answer:
    """The likeliest span after `prompt`, at most one line of it. It is asked after each token whether its text is `enough`.

    Raises Stopped when `stop` is up.
    """
    span = Span(model.tokenizer, typed, max_tokens=max_tokens, room=model.context - len(prompt), one_line=True)
    chances: list[float] = []
    rng = np.random.default_rng(0)  # greedy: nothing is drawn
    scores = model.engine.prefill([*prompt, *span.tokens], stop)
    while True:
        generated = span.generated
        token, log_p = choose(scores, GREEDY, rng, span.allowed)
        span.take(token, log_p)
        if span.generated > generated or span.stopped:
            chances.append(log_p)
        if span.stopped or enough(span.text):
            return Answer(span.text, tuple(chances), span.stopped or "done")
        if stop():
            raise Stopped
        scores = model.engine.step(token)
