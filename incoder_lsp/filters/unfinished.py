"""Of several lines, the last one counts only if the model finished it."""

from __future__ import annotations

from incoder_lsp.filters.suggestion import Suggestion
from incoder_model.infill import Infill


def finished_lines(infill: Infill) -> Suggestion:
    if infill.stopped not in ("budget", "context"):
        return Suggestion(infill.text)
    if "\n" in infill.text:
        return Suggestion(infill.text[: infill.text.rindex("\n")])
    return Suggestion(infill.text, whole=False)
