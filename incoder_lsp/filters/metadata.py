"""The words that say where a file ends are the model's, not the user's: a line with them, and all after it, goes."""

from __future__ import annotations

import re
from dataclasses import replace

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Suggestion

CLOSING_TAG = re.compile(r"^[^\n]*\bfile(?: (?:ext|filename|source|dstars)=[^\n]*)? ?\|>", re.MULTILINE)


def cut_metadata(suggestion: Suggestion, situation: Situation) -> Suggestion:
    tag = CLOSING_TAG.search(suggestion.text)
    return replace(suggestion, text=suggestion.text[: tag.start()]) if tag else suggestion
