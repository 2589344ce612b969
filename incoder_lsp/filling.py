"""One pass through the house, on the worker: a Question in, the model asked, its words filtered, an Answer out.

The imports are inside because the relay, which only passes messages on, must not pay for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from incoder_lsp.infiller import Infiller, own_model
from incoder_lsp.question import Answer, Question

if TYPE_CHECKING:
    from incoder_lsp.context import Situation

Stop = Callable[[], bool]
Fill = Callable[[Infiller, Question, Stop], Answer]
Prepare = Callable[[Infiller, Question, Stop], None]

_LINE_END = re.compile(r"\r\n|\r|\n")


def fill(model: Infiller, question: Question, stop: Stop) -> Answer:
    from incoder_lsp.actions.docstring_line import docstring_line, opened_at
    from incoder_lsp.filters import Drop, filter_suggestion

    situation, own = _situation(question), own_model(model)
    if situation is None:
        return Answer(why="inside a word")
    if own and (opened := opened_at(question)):
        suggestion = docstring_line(own, question, opened, stop)
    else:
        suggestion = filter_suggestion(model.infill(situation.request, stop), situation)
    if isinstance(suggestion, Drop):
        return Answer(why=suggestion.reason)
    return Answer((replace(suggestion, text=_LINE_END.sub(question.eol, suggestion.text)),))


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
