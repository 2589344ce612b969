"""What goes from rule to rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suggestion:
    text: str
    covers: int = 0  # characters right of the cursor, on its line, that the text stands in for
    imports: tuple[str, ...] = ()  # names in it that the file lacks and may import


@dataclass(frozen=True)
class Drop:
    reason: str
