"""A model that has come to doubt stops thinking, and what is shown is what would have been shown had it gone on."""

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest

from incoder_lsp import filling
from incoder_lsp.infiller import open_source
from incoder_lsp.question import Answer, Question
from incoder_lsp.settings import Settings

SOURCE = Path(filling.__file__).read_text()
PLACES = 40


@pytest.fixture(scope="module")
def answers() -> list[tuple[Answer, Answer]]:
    """At places of a file of ours, as everybody is answered, and by a model that always says all of it."""
    model, rng = open_source(None), np.random.default_rng(1)
    asked = [question(int(offset)) for offset in rng.choice(len(SOURCE) - 1, PLACES, replace=False)]
    with pytest.MonkeyPatch.context() as patch:
        soon = [filling.fill(model, one, lambda: False) for one in asked]
        infill = model.infill
        patch.setattr(model, "infill", lambda request, stop: infill(replace(request, least=-inf), stop))
        late = [filling.fill(model, one, lambda: False) for one in asked]
    return [(a, b) for a, b in zip(soon, late, strict=True) if a.thought and b.thought]


def question(offset: int) -> Question:
    """Where the rest of a line is still to be typed."""
    text = SOURCE[:offset] + SOURCE[SOURCE.index("\n", offset) :]
    return Question("file:///w/filling.py", "/w/filling.py", text, offset, eol="\n", invoked=False, settings=Settings())


def test_what_is_shown_is_the_same(answers: list[tuple[Answer, Answer]]):
    assert sum(bool(soon.suggestions) for soon, _ in answers) > 5
    for soon, late in answers:
        assert soon.suggestions == late.suggestions
        assert soon.why == late.why


def test_it_costs_less(answers: list[tuple[Answer, Answer]]):
    said = [[answer.thought.said[0].tokens for answer in pair if answer.thought] for pair in answers]
    assert all(soon <= late for soon, late in said)
    assert sum(soon for soon, _ in said) < sum(late for _, late in said) / 1.5
