"""A short answer says what `infill` says, ends where it is enough, and knows how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from incoder_model.answer import answer
from incoder_model.engine import Stopped
from incoder_model.infill import InfillRequest, Model, infill, prompt_of

LEFT, RIGHT = "def area(self) -> ", "\n    return self.width\n"


@pytest.mark.parametrize("typed", ["", "def ar", "    self.na"])
def test_it_says_what_infill_says(model: Model, typed: str):
    request = InfillRequest(LEFT, RIGHT, typed=typed, one_line=True, max_tokens=8)
    said = infill(model, request)
    short = answer(model, prompt_of(model, request), typed=typed, max_tokens=8, enough=lambda text: False)
    assert (short.text, short.stopped) == (said.text, said.stopped)
    ended = said.stopped in ("line", "end-of-mask", "end-of-text")
    assert len(short.log_probabilities) == said.tokens + ended, "the token that ends it counts"
    assert sum(short.log_probabilities[: said.tokens]) == pytest.approx(said.log_probability, abs=1e-4)
    assert [chance for _, chance in said.chances] == pytest.approx(short.log_probabilities[: said.tokens], abs=1e-4)
    assert short.probability == pytest.approx(np.exp(np.mean(short.log_probabilities)))


def test_typed_text_is_given_and_costs_no_probability(model: Model):
    """Of a token that is bound to spell typed text, counted is what it is among those that do."""
    reached = 0
    for typed in ("self.lat", "self.lo", "import n", "    ret", "for r", "cit", "def ar"):
        prompt = prompt_of(model, InfillRequest(LEFT, RIGHT, typed=typed, max_tokens=1))
        short = answer(model, prompt, typed=typed, max_tokens=1, enough=lambda text: False)
        certain, rest = model.tokenizer.healer.take_back(model.tokenizer.encode(typed))
        allowed = model.tokenizer.healer.allowed(rest)
        scores = model.engine.prefill([*prompt, *certain]).astype(float)[allowed]
        if len(model.tokenizer.token_bytes[allowed[scores.argmax()]]) > len(rest):  # else it only spells what is typed
            reached += 1
            assert short.log_probabilities[0] == pytest.approx(scores.max() - np.log(np.exp(scores).sum()), abs=1e-3)
    assert reached


def test_it_ends_when_it_is_enough(model: Model):
    prompt = prompt_of(model, InfillRequest(LEFT, RIGHT, max_tokens=8))
    short = answer(model, prompt, max_tokens=8, enough=lambda text: len(text) >= 1)
    assert short.stopped == "done"
    assert len(short.log_probabilities) == 1


def test_it_can_be_stopped(model: Model):
    prompt = prompt_of(model, InfillRequest(LEFT, RIGHT, max_tokens=8))
    looks = iter([False, False, True])
    with pytest.raises(Stopped):
        answer(model, prompt, max_tokens=8, enough=lambda text: False, stop=lambda: next(looks))
