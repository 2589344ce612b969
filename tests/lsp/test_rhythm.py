"""How long is waited for the next key; time is made of numbers here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from incoder_lsp.rhythm import BEAT, ENOUGH, IN_TIME, LONGEST, PAUSE, TOO_LATE, Rhythm

pauses = st.lists(st.floats(0.001, 5), max_size=30)
seconds = st.floats(0, 5)


def typed(pauses: list[float], latency: float = 0.0) -> Rhythm:
    rhythm, now = Rhythm().key(100.0).answered(latency), 100.0
    for pause in pauses:
        now += pause
        rhythm = rhythm.key(now)
    return rhythm


@given(pauses, seconds, st.floats(0, 5))
def test_the_wait_has_bounds(pauses: list[float], latency: float, shortest: float):
    wait = typed(pauses, latency).wait(shortest)
    assert shortest <= wait <= max(shortest, LONGEST)


@given(pauses, seconds, seconds)
def test_a_slower_model_is_never_asked_sooner(pauses: list[float], one: float, other: float):
    assert typed(pauses, min(one, other)).wait(0) <= typed(pauses, max(one, other)).wait(0)


@given(st.floats(0.02, 0.9), st.floats(0.001, 0.999))
def test_who_types_slower_than_the_model_answers_does_not_wait(pause: float, share: float):
    assert typed([pause] * 8, pause * share * IN_TIME).wait(0.01) == 0.01


@given(st.floats(0.02, 0.19), st.floats(TOO_LATE * 1.01, 20))
def test_who_types_faster_than_the_model_answers_is_waited_for_longer_than_a_key_takes(pause: float, times: float):
    assert pause * 1.4 < typed([pause] * 8, pause * times).wait(0.01) <= pause * (BEAT + 0.01)


@given(st.lists(st.floats(0.05, 0.5), min_size=8, max_size=8), st.floats(PAUSE * 1.01, 1000))
def test_a_thought_does_not_change_the_rhythm(pauses: list[float], thought: float):
    assert len(typed([*pauses[:4], thought, *pauses[4:]]).pauses) == len(pauses)


@given(st.lists(st.floats(0.01, 0.9), max_size=ENOUGH - 1), seconds)
def test_before_there_is_a_rhythm_there_is_nothing_to_adapt_to(pauses: list[float], latency: float):
    assert typed(pauses, latency).wait(0.04) == 0.04


@given(st.lists(seconds, min_size=1))
def test_the_latency_is_between_the_fastest_and_the_slowest_answer(answers: list[float]):
    rhythm = Rhythm()
    for answer in answers:
        rhythm = rhythm.answered(answer)
    assert min(answers) * 0.999 <= rhythm.latency <= max(answers) * 1.001


@given(st.floats(0.001, 5), st.floats(0, 5))
def test_a_stopped_answer_says_only_that_it_took_longer(latency: float, stopped: float):
    after = Rhythm().answered(latency).stopped(stopped).latency
    assert after > latency if stopped > latency * 1.001 else after >= latency
