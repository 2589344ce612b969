"""Nothing, or white space alone, is no suggestion. Trailing white space is never one."""

from __future__ import annotations

from dataclasses import replace

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Drop, Suggestion


def drop_empty(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    text = suggestion.text.rstrip()
    if not text:
        return Drop("empty")
    if text == situation.line_right[: suggestion.covers]:
        return Drop("stands there already")
    return replace(suggestion, text=text)
