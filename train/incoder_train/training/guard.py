"""Which updates are not made. An update that overflowed, or whose loss or gradient lies far from the recent ones, would
undo what many good ones have learned; it is skipped, and said. All of it depends on numbers that every device has alike,
so all devices skip alike.

    loss scale   fp16 only: losses are multiplied before the backward pass, so that small gradients do not vanish; after an
                 overflow by half as much, after a long time without one by twice as much
    guard        a loss or a gradient norm more than `sigma` standard deviations above the mean of the last WINDOW updates
                 is an outlier (the rule of OLMo-core's SkipStepOptimizer)

Both are part of a checkpoint: a resumed run decides as the uninterrupted one would have."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW = 128  # updates
FEWEST = 32  # updates in the window, before there is a judgement


@dataclass
class LossScale:
    """Dynamic loss scaling (Micikevicius et al. 2018, section 3.2), with torch's constants."""

    value: float = 65536.0
    good: int = 0  # updates since the last overflow or growth

    GROW_AFTER = 2000
    SMALLEST = 2.0**-5  # below it the numbers are wrong, not the scale

    def update(self, overflow: bool) -> None:
        self.good = 0 if overflow else self.good + 1
        if overflow:
            self.value = max(self.value / 2, self.SMALLEST)
        elif self.good == self.GROW_AFTER:
            self.value, self.good = self.value * 2, 0


@dataclass
class Guard:
    sigma: float  # 0: no outlier is skipped
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def objection(self, loss: float, norm: float) -> str | None:
        """Why this update must not be made, or None. Outliers join the window, too: a new level is soon no outlier."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return f"the loss is {loss:.4g}, the gradient's norm {norm:.4g}"
        why = None
        for name, value, window in (("loss", loss, self.losses), ("gradient's norm", norm, self.norms)):
            if why is None and self.sigma and len(window) >= FEWEST and value > (bound := _bound(window, self.sigma)):
                why = f"the {name} is {value:.4g}, over {bound:.4g}, {self.sigma:g} sigma above the last {len(window)}"
            window.append(value)
        return why

    def to_dict(self) -> dict[str, list[float]]:
        return {"losses": list(self.losses), "norms": list(self.norms)}

    def restore(self, values: Mapping[str, Any]) -> None:
        for name, window in (("losses", self.losses), ("norms", self.norms)):
            window.clear()
            window.extend(float(value) for value in values[name])


def _bound(window: deque[float], sigma: float) -> float:
    mean = sum(window) / len(window)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in window) / (len(window) - 1))
    return mean + sigma * deviation
