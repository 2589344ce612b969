"""A character or two are no help: nobody looks up from the keys for them, unless they have asked."""

from __future__ import annotations

from incoder_lsp.context import Situation
from incoder_lsp.filters.suggestion import Drop, Suggestion

FEWEST = 3  # characters, white space left out


def drop_tiny(suggestion: Suggestion, situation: Situation) -> Suggestion | Drop:
    if situation.invoked:
        return suggestion
    said = "".join(suggestion.text.split())
    if len(said) < FEWEST or not any(character.isalnum() or character == "_" for character in said):
        return Drop("too short to help")
    return suggestion
