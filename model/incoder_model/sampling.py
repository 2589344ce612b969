"""Which token comes next: scores in, one token out. Greedy, or top-p at a temperature (paper section 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sampling:
    temperature: float = 0.0  # 0 is greedy
    top_p: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature >= 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                f"temperature {self.temperature} must not be negative, and top_p {self.top_p} must lie in (0, 1]"
            )


def choose(
    scores: np.ndarray, sampling: Sampling, rng: np.random.Generator, allowed: np.ndarray | None = None
) -> tuple[int, float]:
    """A token and its log-probability under the model, given that it is one of those allowed.

    scores: (vocab_size,) logits; allowed: the ids it must be one of.
    """
    chances = scores if allowed is None else scores[allowed]
    t, top_p = sampling.temperature, sampling.top_p
    place = _nucleus(chances / t, top_p, rng) if t else chances.argmax()
    largest = chances.max()
    log_probability = float(chances[place] - largest - np.log(np.exp(chances - largest).sum()))
    return int(place if allowed is None else allowed[place]), log_probability


def _nucleus(scores: np.ndarray, top_p: float, rng: np.random.Generator) -> int:
    """An index drawn from the smallest set of the likeliest that holds `top_p` of the probability."""
    p = np.exp(scores - scores.max())
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    count = int(np.searchsorted(np.cumsum(p[order]), top_p)) + 1
    kept = p[order[:count]]
    return int(order[rng.choice(len(kept), p=kept / kept.sum())])
