"""Which pieces of other files stand before this one: texts and the lines around the cursor in, Neighbours out, the best first.

A file is looked at in windows of some lines. The more rare names a window shares with the lines around the cursor, and the fewer
it has besides, the better it is; one that shares none is no neighbour.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from incoder_model.window import Neighbour

WINDOW, STRIDE = 16, 8  # lines of a piece, and from one piece to the next that is looked at
ABOVE, BELOW = 12, 4  # lines around the cursor that are compared
MOST = 3  # pieces
MOST_WINDOWS = 4000  # that are looked at

_NAME = re.compile(r"[^\W\d]\w{2,}")  # shorter ones say nothing


@dataclass(frozen=True)
class File:
    path: str
    text: str  # with `\n` line ends


@dataclass(frozen=True)
class Window:
    file: File
    lines: Sequence[str]
    names: frozenset[str]


def choose(files: Iterable[File], left: str, right: str) -> tuple[Neighbour, ...]:
    """left, right: what stands before and after the cursor, with `\\n` line ends. Where several files have a piece, or one file
    comes whole and in pieces, the first counts."""
    from incoder_model.window import Neighbour

    around = names("\n".join([*left.split("\n")[-ABOVE:], *right.split("\n")[:BELOW]]))
    chosen: list[Window] = []
    for window in _ranked([window for file in files for window in _windows(file)][:MOST_WINDOWS], around):
        if not any(_overlap(window, other) for other in chosen):
            chosen.append(window)
        if len(chosen) == MOST:
            break
    return tuple(Neighbour(window.file.path, "\n".join(window.lines)) for window in chosen)


def names(text: str) -> frozenset[str]:
    return frozenset(_NAME.findall(text))


def _ranked(windows: Sequence[Window], around: frozenset[str]) -> list[Window]:
    """Those that share a name with `around`, the best first."""
    spread = Counter(name for window in windows for name in window.names)
    rarity = {name: math.log(1 + len(windows) / count) for name, count in spread.items()}

    def score(window: Window) -> float:
        return sum(rarity[name] for name in window.names & around) / math.sqrt(
            sum(rarity[name] for name in window.names) or 1
        )

    scores = [score(window) for window in windows]
    order = sorted(range(len(windows)), key=lambda place: -scores[place])
    return [windows[place] for place in order if scores[place]]


def _windows(file: File) -> list[Window]:
    lines = file.text.split("\n")
    starts = range(0, max(1, len(lines) - STRIDE), STRIDE)
    cut = [lines[first : first + WINDOW] for first in starts]
    return [Window(file, some, names("\n".join(some))) for some in cut]


def _overlap(window: Window, other: Window) -> bool:
    known = set(other.lines)
    return sum(line in known for line in window.lines) > len(window.lines) / 2
