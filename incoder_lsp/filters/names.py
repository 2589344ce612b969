"""Python names that exist nowhere in sight are made up: neither the file has them, nor Python, nor the suggestion itself.

What stands after a dot, and the names of keyword arguments, are not for this file to know.
"""

from __future__ import annotations

import builtins
import keyword
import re

from incoder_lsp.context import LEFT_WINDOW, Situation
from incoder_lsp.filters.python import STRINGS, is_code
from incoder_lsp.filters.suggestion import Drop, Suggestion

ALWAYS = {*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "self", "cls", "__name__", "__file__", "__class__"}

_NAME = re.compile(r"[^\W\d]\w*")
_USED = re.compile(
    r"(?<![\w.])([^\W\d]\w*)(?!\w)(?!\s*=[^=])(?![\"'])"
)  # no attribute, no target or keyword, no prefix
_BOUND = re.compile(
    r"\b(?:for|as|def|class|lambda|import|global|nonlocal|case)\s+([\w\s,.*()]+)|([^\W\d]\w*)\s*(?::=|:[^=\n]*=(?!=)|=(?!=))"
)


def drop_unknown_names(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    if len(situation.left) >= LEFT_WINDOW or "import *" in situation.left or not is_code(situation):
        return suggestion
    line = situation.line_left + suggestion.text
    if re.match(r"\s*(?:from|import)\b", line):
        return suggestion
    said = STRINGS.sub('""', line)
    new = [name for name in _USED.findall(said) if name not in ALWAYS]
    before = situation.left[: len(situation.left) - len(situation.line_left)]
    known = {*_NAME.findall(before), *_NAME.findall(situation.right), *_NAME.findall(_whole(situation.line_left))}
    for found in _BOUND.finditer(said):
        known.update(_NAME.findall(found[0]))
    return next((Drop(f"{name} is no name in sight") for name in new if name not in known), suggestion)


def _whole(line: str) -> str:
    """Without the word at its end, which the suggestion goes on with."""
    return re.sub(r"\w+\Z", "", line)
