"""A docstring as a completion: its opening quotes have just been typed under a signature, and the cursor stands behind them.

A Question comes in; what goes behind the quotes, closing ones included, goes out. It is what the action `docstring` would write,
with the user's quotes. Closing quotes that the editor has put behind the cursor are covered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from incoder_lsp.actions.action import Stop, View
from incoder_lsp.actions.docstring import indent_of, place_of, said_of, style_near
from incoder_lsp.actions.source import Function, Source, unified
from incoder_lsp.filters.suggestion import Drop, Suggestion
from incoder_lsp.question import Question

if TYPE_CHECKING:
    from incoder_model.infill import Model

_OPENED = re.compile(r"([ \t]*)([rR]?(\"\"\"|'''))\Z")


@dataclass(frozen=True)
class Opened:
    """source: the file as if nothing had been typed yet. quotes: as typed. covers: characters behind the cursor."""

    source: Source
    function: Function
    quotes: str
    covers: int


def opened_at(question: Question) -> Opened | None:
    """None where the cursor does not stand behind the opening quotes of a function's docstring."""
    left, right = (question.text[: question.offset], question.text[question.offset :])
    if question.cells or not (found := _OPENED.search(unified(left[-200:]))):
        return None
    left, (behind, end, below) = unified(left), unified(right).partition("\n")
    line = left[left.rfind("\n") + 1 :]
    if line != found.group() or behind.strip() not in ("", found[3]) or not end:
        return None
    source = Source(left.removesuffix(line) + below, question.path)
    start = len(left) - len(line)
    for function in source.functions:
        if place_of(source, function) == start and indent_of(source, function) == found[1]:
            return Opened(source, function, found[2], len(behind))
    return None


def docstring_line(model: Model, question: Question, opened: Opened, stop: Stop) -> Suggestion | Drop:
    """Raises Stopped."""
    source, function = opened.source, opened.function
    style = replace(style_near(source, function), quotes=opened.quotes[-3:])
    if question.settings.multi_line == "never":
        style = replace(style, several=False, below=False)
    view = View(question.uri, 0, source, (), question.settings)
    outcome = said_of(model, view, function, style, stop)
    if not outcome.edits:
        return Drop("no sentence for this docstring")
    opening = f"{indent_of(source, function)}{style.quotes}"
    return Suggestion(outcome.edits[0].text.removeprefix(opening).removesuffix("\n"), opened.covers)
