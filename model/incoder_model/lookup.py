"""Prompt lookup: what comes next often stands somewhere already, so several tokens can be tried in one pass.

Code repeats itself. The last tokens are looked for in all that was read and said before, and what followed them there is
guessed to follow here. The guess goes through the network together with the token before it, which costs little more than
that token alone; where the next token chosen is the one guessed, its scores are there already. Wrong guesses are taken
back. Whatever is guessed, the scores are those that one token at a time would give: see `Engine.step`.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import takewhile

import numpy as np

from incoder_model.engine import Engine

LONGEST_MATCH, SHORTEST_MATCH = 8, 2  # tokens that must stand there as they stand here
FIRST_GUESS, LONGEST_GUESS = 2, 12  # tokens; it grows while guesses are right


class Lookup:
    """`Engine.step` with foresight. `tokens` is what the engine was prefilled with; a guess ends before one of `ends`."""

    def __init__(self, engine: Engine, tokens: Sequence[int], ends: Container[int]):
        self._engine, self._ends = engine, ends
        self._said = "".join(map(chr, tokens))  # a character a token: looking for some in a string is fast
        self._length = FIRST_GUESS
        self._guess: list[int] = []  # evaluated, and not yet chosen
        self._scores: list[np.ndarray] = []  # after each of them

    def step(self, token: int, most: int) -> np.ndarray:
        """The scores after one more token. No more than `most` tokens will be chosen after it."""
        self._said += chr(token)
        if self._guess and self._guess[0] == token:
            del self._guess[0]
            self._length += 2 * (not self._guess)  # all of it was right
            return self._scores.pop(0)
        self._length = max(1, self._length - len(self._guess))
        self.close()
        self._guess = self._next(min(most, self._engine.room) - 1)
        if not self._guess:
            return self._engine.step(token)
        first, *self._scores = self._engine.step_each([token, *self._guess])
        return first

    def close(self) -> None:
        """Take back what was guessed and not chosen."""
        if self._guess:
            self._engine.take_back(len(self._guess))
            self._guess, self._scores = [], []

    def _next(self, most: int) -> list[int]:
        """At most `most` tokens that followed the last ones where these stood before; the longest match counts, of
        several the nearest."""
        for length in range(LONGEST_MATCH, SHORTEST_MATCH - 1, -1):
            found = self._said.rfind(self._said[-length:], 0, len(self._said) - 1)
            if found >= 0:
                start = found + length
                guess = map(ord, self._said[start : start + max(0, min(self._length, most, LONGEST_GUESS))])
                return list(takewhile(lambda token: token not in self._ends, guess))
        return []
