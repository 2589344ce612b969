"""Several ways to fill one hole: greedy first, the others by their probability, each with what is typed at its beginning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incoder_model.candidates import candidates, mean_log_probability
from incoder_model.engine import Engine
from incoder_model.infill import InfillRequest, Model, infill
from incoder_model.loading import load_model

REQUEST = InfillRequest(
    "import os\n\n\ndef main():\n", "\n    return size\n", typed="    siz", one_line=True, max_tokens=8
)


@pytest.fixture(scope="module")
def bundled() -> Model:
    return load_model(None)


class Single:
    """An evaluator that cannot branch."""

    def __init__(self, model: Model):
        self._inner = model.engine._sequences[0].evaluator
        self.context = model.context
        self.evaluate, self.evaluate_each = self._inner.evaluate, self._inner.evaluate_each
        self.truncate = self._inner.truncate


def test_greedy_is_first_and_the_others_come_by_their_probability(bundled: Model) -> None:
    found = candidates(bundled, REQUEST, 4)
    greedy = infill(bundled, REQUEST)
    assert (found[0].text, found[0].stopped) == (greedy.text, greedy.stopped)
    assert len(found) == 5
    assert len({one.text for one in found}) > 1
    means = [mean_log_probability(one) for one in found[1:]]
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize("typed", ["", "    siz", "    return os.pa"])
def test_what_is_typed_is_kept_out_and_the_same_request_gives_the_same(bundled: Model, typed: str) -> None:
    request = replace(REQUEST, typed=typed)
    found = candidates(bundled, request, 3)
    assert [one.text for one in candidates(bundled, request, 3)] == [one.text for one in found]
    for one in found:
        assert "\n" not in one.text, "each ends with its line"
        assert one.tokens <= 8
        assert len(one.chances) == one.tokens
        assert one.log_probability == pytest.approx(sum(chance for _, chance in one.chances), abs=1e-4)


def test_what_was_read_stays_for_the_next_request(bundled: Model) -> None:
    candidates(bundled, REQUEST, 3)
    before = bundled.engine.evaluated
    infill(bundled, REQUEST)
    assert bundled.engine.evaluated - before < 20, "the prompt is not read again"


def test_an_evaluator_that_cannot_branch_says_one_after_the_other(bundled: Model) -> None:
    single = replace(bundled, engine=Engine(Single(bundled)))
    found = candidates(single, REQUEST, 3)
    assert len(found) == 4
    assert found[0].text == infill(bundled, REQUEST).text
    assert all("\n" not in one.text for one in found)


@pytest.mark.parametrize("looks", [0, 1, 3, 9])
def test_once_nobody_waits_only_what_was_ready_comes(bundled: Model, looks: int) -> None:
    answers = iter([False] * looks)
    found = candidates(bundled, replace(REQUEST, max_tokens=40, one_line=False), 3, stop=lambda: next(answers, True))
    assert len(found) == 1


def test_who_waits_no_longer_gets_the_greedy_one(bundled: Model) -> None:
    assert len(candidates(bundled, replace(REQUEST, max_tokens=40, one_line=False), 3, seconds=0)) < 4
