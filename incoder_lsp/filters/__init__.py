"""What is shown of what the model said: an Infill and its Situation in, a Suggestion or a Drop with its reason out.

Each rule has a file of its own; the order in which they are asked is the list below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from incoder_lsp.context import Situation
from incoder_lsp.filters.block import stay_in_block
from incoder_lsp.filters.brackets import cover_closers
from incoder_lsp.filters.doubt import least_of, until_doubt
from incoder_lsp.filters.empty import drop_empty
from incoder_lsp.filters.indentation import indent_as_the_file
from incoder_lsp.filters.metadata import cut_metadata
from incoder_lsp.filters.names import drop_unknown_names
from incoder_lsp.filters.overlap import drop_overlap
from incoder_lsp.filters.parsing import cut_unparsable
from incoder_lsp.filters.repetition import cut_repeated_lines, drop_circles
from incoder_lsp.filters.suggestion import Drop, Suggestion
from incoder_lsp.filters.tiny import drop_tiny
from incoder_lsp.filters.unfinished import finished_lines
from incoder_model.infill import Infill

__all__ = ["FILTERS", "Drop", "Filter", "Suggestion", "filter_suggestion"]

Filter = Callable[[Suggestion, Situation], Suggestion | Drop]

FILTERS: tuple[Filter, ...] = (
    cut_metadata,
    cut_repeated_lines,
    drop_circles,
    indent_as_the_file,
    stay_in_block,
    drop_overlap,
    cover_closers,
    drop_empty,
    cut_unparsable,
    drop_unknown_names,
    drop_tiny,
)


def filter_suggestion(
    infill: Infill, situation: Situation, rules: Sequence[Filter] = FILTERS, least: float | None = None
) -> Suggestion | Drop:
    """least: where doubt begins, see `doubt`; None leaves it to the settings."""

    def apply(so_far: Suggestion | Drop, rule: Filter) -> Suggestion | Drop:
        return so_far if isinstance(so_far, Drop) else rule(so_far, situation)

    least = least_of(situation) if least is None else least
    return reduce(apply, rules, until_doubt(finished_lines(infill), infill, least))
