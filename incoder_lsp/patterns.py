r"""Names of files as `.gitignore` writes them: lines come in, a verdict on a path goes out.

A pattern is about one path, never about what lies below it: a folder and each step towards a file are judged one by one, as git
does it. So `*`, `!*/`, `!*.py` means what people mean by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

Lines = tuple[str, ...]

_PIECE = re.compile(
    r"(?P<folders>(?:(?<=/)|\A)\*{2,}/)"  # any number of them, none too
    r"|(?P<rest>(?:(?<=/)|\A)\*{2,}\Z)"
    r"|(?P<stars>\*+)|(?P<one>\?)"
    r"|\[(?P<not>[!^])?(?P<any>\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*)\]"
    r"|\\(?P<quoted>.)|(?P<plain>[^\\\[])",
    re.DOTALL,
)
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \t",
    "digit": "0-9",
    "lower": "a-z",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


@dataclass(frozen=True)
class Pattern:
    regex: re.Pattern[str]
    names: bool  # False takes back what a line before has named
    folders_only: bool
    whole_path: bool  # from the folder of the lines on; otherwise the name alone, wherever it is


def verdict(lines: Lines, path: str, *, is_folder: bool) -> bool | None:
    """Do the lines name this path, from their folder on? The last line that speaks of it counts; None where none does."""
    for pattern in reversed(_patterns(lines)):
        subject = path if pattern.whole_path else path.rpartition("/")[2]
        if (is_folder or not pattern.folders_only) and pattern.regex.fullmatch(subject):
            return pattern.names
    return None


def steps(path: PurePosixPath, *, is_folder: bool = False) -> Iterator[tuple[PurePosixPath, bool]]:
    """A relative path's folders from above, each with True, and the path itself."""
    for folder in [*reversed(path.parents)][1:]:
        yield folder, True
    yield path, is_folder


def is_named(lines: Lines, path: str) -> bool:
    """Is this file, or a folder that it is in, named by the lines?"""
    return any(verdict(lines, step.as_posix(), is_folder=folder) for step, folder in steps(PurePosixPath(path)))


def read_pattern(line: str) -> Pattern | None:
    """None for a comment, an empty line and what can match nothing."""
    text = re.sub(r"(?<!\\) +\Z", "", line)
    if text.startswith("#"):
        return None
    body = text.removeprefix("!")
    folders_only = body.endswith("/")
    body = body.removesuffix("/")
    regex = _regex(body.removeprefix("/"))
    return Pattern(regex, body == text.removesuffix("/"), folders_only, "/" in body) if regex else None


def are_patterns(lines: Lines) -> bool:
    return None not in map(read_pattern, lines)


@lru_cache(maxsize=256)
def _patterns(lines: Lines) -> tuple[Pattern, ...]:
    return tuple(pattern for pattern in map(read_pattern, lines) if pattern)


def _regex(glob: str) -> re.Pattern[str] | None:
    parts, at = [], 0
    while at < len(glob):
        piece = _PIECE.match(glob, at)
        if piece is None:
            return None  # a bracket that is not closed, or a backslash before nothing
        parts.append(_part(piece))
        at = piece.end()
    try:
        return re.compile("".join(parts), re.DOTALL) if parts else None
    except re.error:
        return None  # a range that ends before it begins


def _part(piece: re.Match[str]) -> str:
    if piece["any"] is not None:
        inside = re.sub(r"\[:([a-z]+):\]|\\(.)|([\[\]^&~|])", _inside, piece["any"])
        return f"(?!/)[{'^' if piece['not'] else ''}{inside}]"
    fixed = {"folders": "(?:.*/)?", "rest": ".+", "stars": "[^/]*", "one": "[^/]"}
    for name, regex in fixed.items():
        if piece[name]:
            return regex
    return re.escape(piece["quoted"] or piece["plain"])


def _inside(found: re.Match[str]) -> str:
    """Of brackets, as Python's have it."""
    return _CLASSES.get(found[1], "") if found[1] else f"\\{found[2] or found[3]}"
