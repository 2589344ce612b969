"""What became of suggestions, in numbers, by language; and the file on this machine in which all sessions add them up.

Counts and lengths go in, never a word of anybody's text. A session keeps a Tally of its own and adds it to the file now and
then, under a lock, so that several sessions and processes lose nothing of each other's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from incoder_lsp.folders import users_folder

FORMAT = 1
COUNTS = (
    "shown",
    "accepted",  # of those shown: something of them was taken over at least once
    "whole",  # how often a suggestion, or all that was left of it, was taken over
    "line",
    "word",
    "typed",  # suggestions that were typed to their end by hand
    "characters",  # that were taken over
    "measured30s",  # of these, those that were looked at after 30 seconds
    "kept30s",  # of these, those that were still there
    "measured5min",
    "kept5min",
)
OTHER = "other"  # languages without an extension that looks like one

Languages = dict[str, dict[str, int]]  # extension -> count -> number


class Tally:
    """Counts by language."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, language: str, count: str, number: int = 1) -> None:
        assert count in COUNTS, count
        self._counts[language, count] += number

    @property
    def languages(self) -> Languages:
        found: Languages = {}
        for (language, count), number in sorted(self._counts.items()):
            found.setdefault(language, {})[count] = number
        return found

    @property
    def total(self) -> dict[str, int]:
        """Over all languages, every count, zeros too."""
        return {name: sum(one.get(name, 0) for one in self.languages.values()) for name in COUNTS}


def language_of(path: str) -> str:
    """The extension, by which languages are told apart here: "py"."""
    ending = PurePosixPath(path).suffix[1:].lower()
    return ending if re.fullmatch("[a-z][a-z0-9+]{0,7}", ending) else OTHER


def statistics_path() -> Path:
    """Where the numbers are kept."""
    return users_folder("state") / "statistics.json"


def read_statistics(path: Path) -> tuple[str, Languages]:
    """Since when (a date, "" for not yet) and what was counted. A file that is missing or damaged counts as empty.

    Raises OSError where it is there and may not be read.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        return str(content["since"]), {
            str(language): {str(name): int(number) for name, number in counts.items()}
            for language, counts in content["languages"].items()
        }
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return "", {}


def add_statistics(path: Path, tally: Tally) -> None:
    """Add a tally to what the file has. Raises OSError."""
    with _alone(path):
        since, languages = read_statistics(path)
        for language, counts in tally.languages.items():
            known = languages.setdefault(language, {})
            for name, number in counts.items():
                known[name] = known.get(name, 0) + number
        _write(path, {"format": FORMAT, "since": since or time.strftime("%Y-%m-%d"), "languages": languages})


def reset_statistics(path: Path) -> None:
    """Begin anew. Raises OSError."""
    with _alone(path):
        path.unlink(missing_ok=True)


def _write(path: Path, content: dict[str, Any]) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    new.replace(path)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While no other process or session is at the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a+b") as lock:
        if sys.platform == "win32":
            import msvcrt

            lock.seek(0)
            msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                lock.seek(0)
                msvcrt.locking(lock.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)  # goes with the descriptor
            yield
