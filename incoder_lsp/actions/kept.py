"""What was found out about functions lately, for as long as nothing that it depends on changes: a function in, the findings out.

Their places are counted from the function's start, so that they hold wherever it moves to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from incoder_lsp.actions.action import View
from incoder_lsp.actions.source import Function

MOST = 512  # functions

Finding = TypeVar("Finding")
Key = tuple[str, ...]


class Kept(Generic[Finding]):
    """key: all that the findings of a function depend on. moved: a finding where the text begins elsewhere."""

    def __init__(self, key: Callable[[View, Function], Key], moved: Callable[[Finding, int], Finding]):
        self._key, self._moved = key, moved
        self._found: OrderedDict[Key, list[Finding]] = OrderedDict()

    def of(self, view: View, function: Function) -> list[Finding] | None:
        found = self._found.get(self._key(view, function))
        return None if found is None else [self._moved(one, function.range[0]) for one in found]

    def keep(self, view: View, function: Function, found: list[Finding]) -> None:
        self._found[self._key(view, function)] = [self._moved(one, -function.range[0]) for one in found]
        while len(self._found) > MOST:
            self._found.popitem(last=False)
