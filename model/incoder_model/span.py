"""A span while it is said: tokens come in one at a time; it knows what may come next, and when it ends.

This is the one home of both, so that `infill`, which says one span at a time, and `batch`, which says many, give the same
answers.
"""

from __future__ import annotations

from math import inf
from typing import Literal

import numpy as np

from incoder_model.tokenizer import Tokenizer, decode_utf8

StopReason = Literal["end-of-mask", "end-of-text", "line", "doubt", "budget", "context", "done", "cancelled"]


class Span:
    """A span that begins with the characters `typed`. Raises ValueError for a budget below one token.

    It may have `max_tokens` beyond what is typed, and the network can read `room` of its tokens, the typed ones included. It ends
    with the token that makes it less likely than `least`, a log-probability.
    """

    def __init__(
        self, tokenizer: Tokenizer, typed: str, *, max_tokens: int, room: int, one_line: bool, least: float = -inf
    ):
        if max_tokens < 1:
            raise ValueError(f"max_tokens is {max_tokens}; it must be at least 1")
        self._tokenizer = tokenizer
        self._typed = len(typed.encode("utf-8", "replace"))
        self._max_tokens, self._room, self._one_line, self._least = max_tokens, room, one_line, least
        self.tokens, self._rest = tokenizer.healer.take_back(tokenizer.encode(typed))
        self.generated = 0  # of the tokens, those that reach beyond what is typed
        self.log_probability = 0.0  # of these, in nats
        self._length = sum(len(tokenizer.token_bytes[token]) for token in self.tokens)  # bytes
        self._chances: list[tuple[int, float]] = []  # of these, each: bytes up to its end, its log-probability
        self.stopped: StopReason | None = None  # None: it goes on

    @property
    def left(self) -> int:
        """How many tokens it may still take, at least: those that only repeat what is typed cost it nothing."""
        return min(self._max_tokens - self.generated, self._room - len(self.tokens) + 1)

    @property
    def last_words(self) -> frozenset[int]:
        """The tokens that end it when they come beyond what is typed."""
        return self._tokenizer.line_ends if self._one_line else self._tokenizer.ends

    @property
    def allowed(self) -> np.ndarray | None:
        """The ids of which the next token must be one, so that what is typed gets spelled. None: any token may come."""
        return self._tokenizer.healer.allowed(self._rest) if self._rest else None

    def take(self, token: int, log_probability: float) -> None:
        """The next token, one of those allowed."""
        spelled = self._tokenizer.token_bytes[token]
        beyond = not self._rest or len(spelled) > len(self._rest)  # else it only repeats what was typed
        if beyond and token in self._tokenizer.ends:
            self.stopped = "end-of-mask" if token == self._tokenizer.sentinels.end else "end-of-text"
            return
        if beyond and self._one_line and token in self._tokenizer.newlines:
            self.stopped = "line"
            return
        self.tokens.append(token)
        self._length += len(spelled)
        if beyond:
            self.generated += 1
            self.log_probability += log_probability
            self._chances.append((self._length - self._typed, log_probability))
        self._rest = self._rest[len(spelled) :]
        if self.log_probability < self._least:
            self.stopped = "doubt"
        elif self.generated == self._max_tokens:
            self.stopped = "budget"
        elif len(self.tokens) > self._room:
            self.stopped = "context"

    @property
    def text(self) -> str:
        """Of the span so far, what is typed left out."""
        return decode_utf8(self._spelled)

    @property
    def chances(self) -> tuple[tuple[int, float], ...]:
        """Of each generated token, where it ends in `text` and its log-probability, in nats."""
        spelled = self._spelled
        if spelled.isascii():
            return tuple(self._chances)
        return tuple((len(decode_utf8(spelled[:end])), chance) for end, chance in self._chances)

    @property
    def _spelled(self) -> bytes:
        return self._tokenizer.decode_bytes(self.tokens)[self._typed :]
