"""Of several lines, the last one counts only if the model finished it."""

from __future__ import annotations

from incoder_model.infill import Infill


def finished_lines(infill: Infill) -> str:
    if infill.stopped in ("budget", "context") and "\n" in infill.text:
        return infill.text[: infill.text.rindex("\n")]
    return infill.text
