"""A name that is nowhere in sight is not made up where other files of the workspace import it: it is noted, and imported when the
suggestion is accepted.
"""

from __future__ import annotations

import re
from dataclasses import replace

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Drop, Suggestion

_NAME = re.compile(r"[^\W\d]\w*")
# No attribute, no target or keyword argument, no prefix of a string.
_USED = re.compile(r"(?<![\w.])([^\W\d]\w*)(?!\w)(?!\s*=[^=])(?![\"'])")
_STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|#[^\n]*")  # and comments
_STATEMENT = re.compile(r"\s*(?:from|import)\b")


def note_imports(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    line = situation.line_left + suggestion.text
    if not situation.importable or _STATEMENT.match(line):
        return suggestion
    typed = re.sub(r"\w+\Z", "", situation.left)  # the suggestion goes on with the last word
    said = _STRING.sub('""', line)
    used = dict.fromkeys(_USED.findall(said))
    known = {*_NAME.findall(typed), *_NAME.findall(situation.right)}
    return replace(suggestion, imports=tuple(one for one in used if one not in known and one in situation.importable))
