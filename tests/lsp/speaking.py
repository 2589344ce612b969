"""A model that gives the answers it is told to, one to each prompt, by the bundled tokenizer. Not a test.

An answer is what stands after the typed part of a line. `...slow` thinks for ten seconds, or until it is told to stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

import incoder_model
from incoder_model.config import ModelConfig
from incoder_model.engine import Stopped
from incoder_model.infill import Model
from incoder_model.tokenizer import Tokenizer, load_tokenizer

SLOW = "...slow"
TOKENIZER = Path(incoder_model.__file__).parent / "bundled" / "tokenizer.json"


@cache
def tokenizer() -> Tokenizer:
    return load_tokenizer(TOKENIZER)


class Script:
    """Stands in for the engine: prefill and step. `prompts` are the texts it was given, sentinels as `<0>`, `<1>`."""

    def __init__(self, answers: list[str], *, context: int = 2048, sure: float = 30.0):
        self.tokenizer = tokenizer()
        self.context = context
        self.evaluated = self.reused = 0
        self.room = 0  # for guesses: it gets none
        self.prompts: list[str] = []
        self.answers = answers
        self._saying: list[int] = []
        self._sure = sure  # the logit of what is said, among zeros

    def prefill(self, tokens: Sequence[int], stop: Callable[[], bool] = lambda: False) -> np.ndarray:
        sentinels = self.tokenizer.sentinels
        named = [
            f"<{token - sentinels.first}>" if token in sentinels else self.tokenizer.decode([token]) for token in tokens
        ]
        self.prompts.append("".join(named))
        answer = self.answers.pop(0) if self.answers else ""
        deadline = time.monotonic() + 10
        while answer == SLOW and time.monotonic() < deadline:
            if stop():
                raise Stopped
            time.sleep(0.002)
        if stop():
            raise Stopped
        self._saying = [*self.tokenizer.encode(answer), sentinels.end]
        return self._scores()

    def step(self, token: int) -> np.ndarray:
        if token == self._saying[0]:  # else it only spells what is typed
            self._saying.pop(0)
        return self._scores()

    def step_each(self, tokens: Sequence[int]) -> np.ndarray:
        return np.stack([self.step(token) for token in tokens])

    def _scores(self) -> np.ndarray:
        scores = np.zeros(self.tokenizer.vocab_size, np.float32)
        scores[self._saying[0]] = self._sure
        return scores


def speaking(*answers: str, region: bool = False, context: int = 2048, sure: float = 30.0) -> tuple[Model, Script]:
    script = Script(list(answers), context=context, sure=sure)
    config = ModelConfig(
        vocab_size=script.tokenizer.vocab_size, d_model=4, heads=1, layers=1, d_ffn=4, context=context, region=region
    )
    return Model(config, script.tokenizer, script), script  # pyright: ignore[reportArgumentType]
