"""What goes from rule to rule."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Suggestion:
    text: str
    covers: int = 0  # characters right of the cursor, on its line, that the text stands in for
    whole: bool = field(default=True, compare=False)  # False: the model said more of its last line, or would have


@dataclass(frozen=True)
class Drop:
    reason: str
