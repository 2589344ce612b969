"""What a probe finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(str, Enum):
    ok = "ok"
    warn = "warn"  # suggestions come, but not as well as they could
    fail = "fail"  # there are none


@dataclass(frozen=True)
class Finding:
    name: str
    level: Level
    found: str
    advice: str = ""  # what to do, in a sentence; "" where there is nothing

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "level": self.level.value, "found": self.found, "advice": self.advice}
