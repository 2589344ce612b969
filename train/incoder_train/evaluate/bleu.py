"""Smoothed BLEU-4 of one sentence against one reference, as CodeXGLUE scores generated docstrings (paper section 4.3, Table 2).

Words are compared in lower case; every punctuation mark, the underscore among them, is a word. With c_n of the candidate's g_n
n-grams found in the reference, each at most as often as there, and with lengths in words,

    BLEU = exp(min(0, 1 - (reference + 1) / (candidate + 1))) * (c_1/g_1 * product over n = 2..4 of (c_n + 1)/(g_n + 1)) ** (1/4)

The ones added for n > 1 are the smoothing of Lin & Och (2004); those in the brevity penalty are CodeXGLUE's own. The score of a
set is the mean over its sentences.
"""

from __future__ import annotations

import math
import re
import sys
from collections import Counter

ORDER = 4
WORD = re.compile(r"[^\W_]+|[^\w\s]|_")
TINY = (
    sys.float_info.min
)  # where no word matches the score is as good as 0; without words on either side there is no factor


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def bleu(candidate: str, reference: str) -> float:
    """Between 0 and 1."""
    said, meant = words(candidate), words(reference)
    log_precision = 0.0
    for n in range(1, ORDER + 1):
        found, total = _matches(said, meant, n)
        added = TINY if n == 1 else 1
        log_precision += math.log(found + added) - math.log(total + added)
    brevity = min(0.0, 1 - (len(meant) + 1) / (len(said) + 1))
    return math.exp(log_precision / ORDER + brevity)


def _matches(said: list[str], meant: list[str], n: int) -> tuple[int, int]:
    """How many n-grams of `said` are matched in `meant`, and how many there are."""
    ours, theirs = (Counter(zip(*(side[i:] for i in range(n)), strict=False)) for side in (said, meant))
    return sum((ours & theirs).values()), ours.total()
