"""What is shown of what the model said: an Infill and its Situation in, a Suggestion or a Drop with its reason out.

Each rule has a file of its own; the order in which they are asked is the list below.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from incoder_lsp.context import Situation
from incoder_lsp.filters.brackets import cover_closers
from incoder_lsp.filters.empty import drop_empty
from incoder_lsp.filters.importing import note_imports
from incoder_lsp.filters.metadata import cut_metadata
from incoder_lsp.filters.overlap import drop_overlap
from incoder_lsp.filters.repetition import drop_circles
from incoder_lsp.filters.suggestion import Drop, Suggestion
from incoder_lsp.filters.unfinished import finished_lines
from incoder_model.infill import Infill

__all__ = ["Drop", "Suggestion", "filter_suggestion"]

Filter = Callable[[Suggestion, Situation], Suggestion | Drop]

FILTERS: tuple[Filter, ...] = (cut_metadata, drop_circles, drop_overlap, cover_closers, drop_empty, note_imports)


def filter_suggestion(infill: Infill, situation: Situation) -> Suggestion | Drop:
    def apply(so_far: Suggestion | Drop, rule: Filter) -> Suggestion | Drop:
        return so_far if isinstance(so_far, Drop) else rule(so_far, situation)

    return reduce(apply, FILTERS, Suggestion(finished_lines(infill)))
