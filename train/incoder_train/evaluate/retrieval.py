"""The floor: filling a hole without any model, from what stands elsewhere in view. Whoever knows code must do better.

Within a line: what followed, elsewhere, the text before the hole. For whole lines: the lines that followed, elsewhere, the
line before the hole, if possible up to the line that follows the hole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, takewhile

LONGEST = 10  # lines of an answer, where it may have several
DEPTH = 8  # lines of context in which two places are compared
BEGINNING = 4  # characters before a hole within a line that must agree


def retrieve(left: str, right: str, longest: int = LONGEST) -> str:
    """The text for the hole between `left` and `right`, of at most `longest` lines; empty where nothing is alike."""
    *before, line = left.split("\n")
    rest, *after = right.split("\n")
    if line.strip() or (line and rest.strip()):
        return _within_line(before, line, rest.rstrip(), after)
    whole = rest.strip() != ""  # the hole ends with its last line, and `rest` is the next one
    found = _whole_lines(before, [rest, *after] if whole else after, longest)
    text = "\n".join(found) + "\n" * (whole and bool(found))
    return text.lstrip(" \t") if line else text


def _within_line(before: Sequence[str], line: str, rest: str, after: Sequence[str]) -> str:
    """What stands between `line` and `rest` in the nearest line that has both, or else after the longest end of `line`."""
    start = line.lstrip()
    others = [other.strip() for other in _nearest(before, after)]
    for other in others:
        middle = other[len(start) : len(other) - len(rest)]
        if middle and other == start + middle + rest:
            return middle
    for length in range(len(start), BEGINNING - 1, -1):
        for other in others:
            _, found, follows = other.partition(start[-length:])
            middle = follows.partition(rest)[0] if rest else follows
            if found and middle:
                return middle
    return ""


def _nearest(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Lines by their distance from the hole, of two as near the earlier one first."""
    for distance in range(max(len(before), len(after))):
        yield from before[len(before) - 1 - distance : len(before) - distance] if distance < len(before) else ()
        yield from after[distance : distance + 1]


@dataclass(frozen=True)
class _Place:
    """Where the line before the hole stands, too."""

    agrees: bool  # what follows the hole follows there as well
    depth: int  # lines before it that are alike, itself included
    distance: int  # from the hole, in lines
    lines: list[str]  # what stands there in the place of the hole


def _whole_lines(before: Sequence[str], after: Sequence[str], longest: int) -> list[str]:
    """The lines of the place that is most alike, or else the one that stands, elsewhere, before the line after the hole."""
    filled = [i for i, line in enumerate(before) if line.strip()]
    below = next((line for line in after if line.strip()), None)
    places: list[_Place] = []
    for side in (before, after) if filled else ():
        here = before[filled[-1]]
        for i, line in enumerate(side):
            if line.strip() == here.strip() and not (side is before and i == filled[-1]):
                agrees, lines = _up_to(below, side[i + 1 :], longest)
                distance = len(before) - i if side is before else i + 1
                places.append(_Place(agrees, _alike(before, side[: i + 1]), distance, _indented(lines, line, here)))
    places = [place for place in places if place.lines]
    if places:
        return max(places, key=lambda place: (place.agrees, place.depth, -place.distance)).lines
    return _before_the_line(below, before, after) if below is not None else []


def _up_to(below: str | None, lines: Sequence[str], longest: int) -> tuple[bool, list[str]]:
    """The lines up to one like `below`, if there is one near and anything before it; else the first one."""
    filled = [i for i, line in enumerate(lines) if line.strip()]
    if not filled:
        return False, []
    if below is not None:
        end = next((n for n, i in enumerate(filled[: longest + 1]) if lines[i].strip() == below.strip()), None)
        if end is not None:
            return True, list(lines[filled[0] : filled[end - 1] + 1]) if end else []
    return False, [lines[filled[0]]]


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many of the last lines are the same, blank ones and indentation not counted."""
    ends = (islice((line.strip() for line in reversed(lines) if line.strip()), DEPTH) for lines in (one, other))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))


def _before_the_line(below: str, before: Sequence[str], after: Sequence[str]) -> list[str]:
    for side in ([*reversed(before)], [*reversed(after)]):
        filled = [line for line in side if line.strip()]
        for line, above in pairwise(filled):
            if line.strip() == below.strip():
                return _indented([above], line, below)
    return []


def _indented(lines: Sequence[str], there: str, here: str) -> list[str]:
    """`lines` that stand beside the line `there`, as they would stand beside `here`."""
    from_, to = _indent(there), _indent(here)
    moved = []
    for line in lines:
        indent = _indent(line)
        deeper = indent.removeprefix(from_) if indent.startswith(from_) else ""
        kept = to if indent.startswith(from_) else to[: max(0, len(to) - len(from_) + len(indent))]
        moved.append(kept + deeper + line.lstrip() if line.strip() else "")
    return moved


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
