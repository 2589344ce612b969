"""One pass through the house, on the worker: a Question in, the model asked, its words filtered, an Answer out.

The imports are inside because the relay, which only passes messages on, must not pay for them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from incoder_lsp.infiller import Infiller, own_model
from incoder_lsp.question import Answer, Question, Thought

if TYPE_CHECKING:
    from incoder_lsp.context import Situation
    from incoder_model.infill import Infill, InfillRequest

Stop = Callable[[], bool]
Fill = Callable[[Infiller, Question, Stop], Answer]
Prepare = Callable[[Infiller, Question, Stop], None]

DRAWN_FOR_EACH = 2  # that is wanted: some are equal, and some are dropped
SECONDS = 0.7  # `patience` of a person

_LINE_END = re.compile(r"\r\n|\r|\n")


def fill(model: Infiller, question: Question, stop: Stop, patience: float = SECONDS) -> Answer:
    """patience: seconds that who has asked waits for others than the likeliest suggestion."""
    from incoder_lsp.actions.docstring_line import docstring_line, opened_at
    from incoder_lsp.filters import Drop, filter_suggestion

    situation, own = _situation(question), own_model(model)
    if situation is None:
        return Answer(why="inside a word")
    if own and (opened := opened_at(question)):
        thought, kept = None, [docstring_line(own, question, opened, stop)]
    else:
        thought = _thought(model, question, situation, stop, patience)
        kept = [filter_suggestion(said, situation) for said in thought.said]
    # Equal ones count once, and the likeliest is first.
    shown = list(dict.fromkeys(one for one in kept if not isinstance(one, Drop)))[: _wanted(question)]
    if not shown:
        return Answer(why=next((one.reason for one in kept if isinstance(one, Drop)), ""), thought=thought)
    return Answer(tuple(replace(one, text=_LINE_END.sub(question.eol, one.text)) for one in shown), thought=thought)


def _thought(model: Infiller, question: Question, situation: Situation, stop: Stop, patience: float) -> Thought:
    """What the model says, as far as it can be shown, and what that has cost."""
    from incoder_lsp.filters.doubt import least_of

    own, started = own_model(model), time.perf_counter()
    before = own and (own.engine.evaluated, own.engine.reused)
    request = replace(situation.request, least=least_of(situation))
    said = tuple(_said(model, question, request, stop, patience))
    milliseconds = (time.perf_counter() - started) * 1000
    if own is None or before is None:
        return Thought(situation, said, None, None, milliseconds)
    evaluated, reused = own.engine.evaluated - before[0], own.engine.reused - before[1]
    return Thought(situation, said, evaluated, reused, milliseconds)


def _wanted(question: Question) -> int:
    """How many to choose from."""
    return question.settings.candidates if question.invoked else 1


def _said(model: Infiller, question: Question, request: InfillRequest, stop: Stop, patience: float) -> list[Infill]:
    """What the model says, the likeliest first. A server is asked once."""
    own, others = own_model(model), _wanted(question) - 1
    if own is None or not others:
        return [model.infill(request, stop)]
    from incoder_model.candidates import candidates

    return candidates(own, request, others * DRAWN_FOR_EACH, stop, patience)


def prepare(model: Infiller, question: Question, stop: Stop) -> None:
    """Read what `fill` would have to read, when there is nothing else to do. A server is left in peace."""
    own = own_model(model)
    if own and (situation := _situation(question)):
        from incoder_model.infill import prefill

        prefill(own, situation.request, stop)


def _situation(question: Question) -> Situation | None:
    from incoder_lsp.context import situation_at

    text, offset, anchor, path = question.text, question.offset, question.anchor, question.path
    if cells := question.cells:
        text, offset, path = f"{cells.above}{text}{cells.below}", len(cells.above) + offset, cells.name
        anchor = None if anchor is None else len(cells.above) + anchor
    situation = situation_at(
        text, offset, path, invoked=question.invoked, settings=question.settings, anchor=anchor, choice=question.choice
    )
    return situation and replace(situation, importable=question.importable)
