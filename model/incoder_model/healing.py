"""Token healing: text that ends inside a token is completed as if it did not.

InCoder's tokens carry spaces at their ends and span words, so what a person has typed so far rarely ends where a token of
the finished line would. The last typed tokens are therefore taken back, and generation starts under the constraint that
its bytes begin with theirs; when nothing in the vocabulary is longer than what was typed, nothing is taken back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np


class Healer:
    """The vocabulary sorted by bytes, so that all tokens with a given beginning stand side by side."""

    def __init__(self, token_bytes: Sequence[bytes]):
        order = sorted((text, token) for token, text in enumerate(token_bytes) if text)
        self._texts = [text for text, _ in order]
        self._tokens = np.array([token for _, token in order], np.int64)
        self._token_bytes = token_bytes
        self.longest = max(map(len, self._texts))  # bytes in a token

    def take_back(self, tokens: Sequence[int]) -> tuple[list[int], bytes]:
        """Split typed `tokens` into those that are certain and the bytes that a longer token could begin with.

        As many tokens go back as one token of the vocabulary can span, with more text after them.
        """
        rest, back, certain = b"", b"", len(tokens)
        for i in range(len(tokens) - 1, -1, -1):
            back = self._token_bytes[tokens[i]] + back
            if len(back) >= self.longest:
                break
            if self._has_longer(back):
                rest, certain = back, i
        return list(tokens[:certain]), rest

    def allowed(self, rest: bytes) -> np.ndarray:
        """The ids of the tokens that agree with `rest`, which is not empty: they begin with it, or it with them."""
        start, end = self._range(rest)
        shorter = []
        for length in range(1, len(rest)):
            first, last = self._range(rest[:length])
            # Of the tokens that begin with rest[:length], those equal to it come first; two ids may have the same bytes.
            while first < last and len(self._texts[first]) == length:
                shorter.append(first)
                first += 1
        return np.concatenate([self._tokens[shorter], self._tokens[start:end]]) if shorter else self._tokens[start:end]

    def _has_longer(self, beginning: bytes) -> bool:
        start, end = self._range(beginning)
        return end > start and len(self._texts[end - 1]) > len(beginning)

    def _range(self, beginning: bytes) -> tuple[int, int]:
        """Where the tokens that begin with `beginning` stand."""
        start = bisect_left(self._texts, beginning)
        # The first text after all of them: the beginning with its last byte that can grow grown by one.
        stem = beginning.rstrip(b"\xff")
        if not stem:
            return start, len(self._texts)
        return start, bisect_left(self._texts, stem[:-1] + bytes([stem[-1] + 1]))
