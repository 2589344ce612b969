"""Places in held-out files where an editor would ask, and what a person wrote there: for choosing thresholds, and for judging them.

Two kinds. In a *line* hole the rest of a line is not yet written; the cursor stands behind any
character that is. In a *block* hole a line has opened a block, the cursor stands on the next one, indented, and the
body is not yet written. What thresholds are chosen on and what they are judged by are different packages: of those of each
language, in the order of their names, every other one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from incoder_lsp.context import BLOCK_STARTS, Situation, situation_at
from incoder_lsp.infiller import Infiller
from incoder_lsp.settings import Settings
from incoder_model.infill import Infill
from incoder_train.evaluate.sources import Source, load_sources

CALIBRATION, REPORT = "calibration", "report"
LONGEST_BODY = 12  # lines
Half = Literal["calibration", "report"]


@dataclass(frozen=True)
class Hole:
    path: str
    lang: str
    left: str
    written: str  # by a person, at the cursor
    right: str
    block: bool


@dataclass(frozen=True)
class Answered:
    hole: Hole
    situation: Situation
    infill: Infill


def sources_of(half: Half) -> list[Source]:
    packages: dict[str, list[str]] = {}
    for source in load_sources():
        names = packages.setdefault(source.lang, [])
        if source.package not in names:
            names.append(source.package)
    first = {(lang, name) for lang, names in packages.items() for name in sorted(names)[::2]}
    return [one for one in load_sources() if ((one.lang, one.package) in first) == (half == CALIBRATION)]


def holes_of(half: Half, lines: int, blocks: int, seed: int = 2022) -> list[Hole]:
    """At most so many of each kind in a file. The same seed gives the same holes."""
    found = []
    for source in sources_of(half):
        rng = random.Random(f"{seed} {source.id}")
        text = source.text.replace("\r\n", "\n")
        for block, places, most in ((False, _lines(text), lines), (True, _blocks(text), blocks)):
            for start, end in rng.sample(places, min(most, len(places))):
                found.append(Hole(source.path, source.lang, text[:start], text[start:end], text[end:], block))
    return found


def answers(model: Infiller, holes: list[Hole], *, invoked: bool) -> Iterator[Answered]:
    """What the model says at each, nothing left out; holes at which nobody asks are passed over."""
    for hole in holes:
        text, offset = hole.left + hole.right, len(hole.left)
        situation = situation_at(text, offset, hole.path, invoked=invoked, settings=Settings())
        if situation:
            yield Answered(hole, situation, model.infill(situation.request, lambda: False))


def _lines(text: str) -> list[tuple[int, int]]:
    """From every character of every line to the line's end."""
    lines = [(start + _depth(line), start + len(line)) for start, line in _each_line(text)]
    return [(offset, end) for start, end in lines for offset in range(start, end)]


def _blocks(text: str) -> list[tuple[int, int]]:
    """The bodies of blocks, from behind their first line's indentation."""
    found, lines = [], list(_each_line(text))
    for i, (_, opener) in enumerate(lines[:-1]):
        body = i + 1
        while body < len(lines) and (not lines[body][1].strip() or _depth(lines[body][1]) > _depth(opener)):
            body += 1
        while not lines[body - 1][1].strip():
            body -= 1
        if opener.rstrip().endswith(BLOCK_STARTS) and i + 1 < body <= i + 1 + LONGEST_BODY and lines[i + 1][1].strip():
            (first, line), (last, ending) = lines[i + 1], lines[body - 1]
            found.append((first + _depth(line), last + len(ending)))
    return found


def _each_line(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
