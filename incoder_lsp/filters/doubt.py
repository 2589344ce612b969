"""Stop at doubt: a suggestion that nobody has asked for ends where it has become unlikely that all of it is right.

The probability of a beginning is the product of its tokens' probabilities. Below a threshold, more characters would be shown
in vain than save a key. What is left ends with a word, and closes the brackets and strings that it opens. `benchmarks/doubt.py`
has chosen the thresholds.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Drop, Suggestion
from incoder_lsp.when import inside_word
from incoder_model.infill import Infill

# Where a character shown in vain costs half (normal) and twice (careful) of what one that is right saves.
LEAST = {"off": -inf, "normal": -1.6, "careful": -0.7}  # log-probability of all that is shown, in nats

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_QUOTES = "\"'`"


def least_of(situation: Situation) -> float:
    """How likely all that is shown must be."""
    return -inf if situation.invoked else LEAST[situation.settings.stop_at_doubt]


def until_doubt(suggestion: Suggestion, infill: Infill, least: float) -> Suggestion | Drop:
    """`suggestion` is a beginning of what `infill` says."""
    end = certain(infill, least)
    if end >= len(suggestion.text):
        return suggestion
    text = closed(whole_words(suggestion.text, end))
    return replace(suggestion, text=text, whole=False) if text.strip() else Drop("in doubt")


def certain(infill: Infill, least: float) -> int:
    """How many characters are at least so likely, as a log-probability; all of them where nothing is known."""
    so_far, end = 0.0, 0
    for next_end, log_probability in infill.chances:
        so_far += log_probability
        if so_far < least:
            return end
        end = next_end
    return len(infill.text)


def whole_words(text: str, end: int) -> str:
    """The first `end` characters, without half a word at their end."""
    while inside_word(text[max(0, end - 1) : end], text[end : end + 1]):
        end -= 1
    return text[:end]


def closed(text: str) -> str:
    """Up to the first bracket or quote that is not closed."""
    waiting: list[tuple[str, int]] = []  # what would close it, and where it stands
    for i, character in enumerate(text):
        if waiting and character == waiting[-1][0]:
            waiting.pop()
        elif waiting and waiting[-1][0] in _QUOTES:
            continue
        elif character in _QUOTES or character in _PAIRS:
            waiting.append((_PAIRS.get(character, character), i))
    return text[: waiting[0][1]] if waiting else text
