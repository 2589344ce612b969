"""The Python files of a session's workspace folders, read now and then on a thread: a file's path goes in, what it may import
comes out.

The first answers, before all is read, know nothing. A file that is open counts as it is on the screen when the others are read.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from incoder_lsp.importing.index import File, Index, Place, index_of, place_of, read
from incoder_lsp.importing.statements import Import
from incoder_lsp.logs import describe, log

FRESH = 60.0  # seconds
MOST_FILES, MOST_FOLDERS, LARGEST = 2000, 2000, 300_000  # bytes
FOREIGN = ("node_modules", "site-packages", "dist-packages", "__pycache__")

Opened = Callable[[], Mapping[Path, str]]
Stamp = tuple[int, int]  # time and size of a file as it was read


@dataclass(frozen=True)
class Importable:
    """The names that a file of a workspace may import."""

    index: Index
    asker: Place

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.import_of(name) is not None

    def import_of(self, name: str) -> Import | None:
        return self.index.import_of(name, self.asker)


@dataclass
class Folder:
    index: Index = field(default_factory=Index)
    files: dict[str, tuple[Stamp, File]] = field(default_factory=dict)  # by path from the folder on
    own: frozenset[str] = frozenset()  # the packages and modules at its top
    looked: float = float("-inf")
    reading: asyncio.Task[None] | None = None


class Workspace:
    """Of one session."""

    def __init__(self) -> None:
        self._folders: dict[Path, Folder] = {}

    def importable(self, path: Path, folders: Iterable[Path], opened: Opened) -> Importable | None:
        """What the file at `path` may import. opened: the texts of open files. None for what is no Python in a folder."""
        if path.suffix not in (".py", ".pyw"):
            return None
        around = [folder for folder in folders if folder in path.parents]
        if not around:
            return None
        root = max(around, key=lambda folder: len(folder.parts))
        known = self._folders.setdefault(root, Folder())
        if known.reading is None and time.monotonic() - known.looked > FRESH:
            texts = {
                place.relative_to(root).as_posix(): text for place, text in opened().items() if root in place.parents
            }
            known.reading = asyncio.create_task(_read(known, root, texts))
        return Importable(known.index, place_of(path.relative_to(root).as_posix()))

    def own(self, path: Path) -> frozenset[str]:
        """The names of packages that are the workspace's."""
        return frozenset().union(*(known.own for root, known in self._folders.items() if root in path.parents))


async def _read(known: Folder, root: Path, texts: Mapping[str, str]) -> None:
    try:
        known.files, known.index = await asyncio.to_thread(_look, root, known.files, texts)
        tops = {file.place[0] for _, file in known.files.values()}
        known.own = frozenset(
            tops | {file.place[1] for _, file in known.files.values() if file.place[0] == "src" and file.place[1:]}
        )
    except Exception as error:  # nobody waits for it
        log.error("the files of a workspace were not read because of %s", describe(error))
    finally:
        known.looked, known.reading = time.monotonic(), None


def _look(
    root: Path, before: Mapping[str, tuple[Stamp, File]], texts: Mapping[str, str]
) -> tuple[dict[str, tuple[Stamp, File]], Index]:
    """What has not changed since `before` is not read again."""
    found: dict[str, tuple[Stamp, File]] = {}
    for path in _python_files(root):
        name = path.relative_to(root).as_posix()
        try:
            state = path.stat()
            stamp = state.st_mtime_ns, state.st_size
            if state.st_size > LARGEST:
                continue
            if name in texts:
                found[name] = (0, 0), read(name, texts[name])
            elif name in before and before[name][0] == stamp:
                found[name] = before[name]
            else:
                found[name] = stamp, read(name, path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return found, index_of(file for _, file in found.values())


def _python_files(root: Path) -> Iterator[Path]:
    """At most MOST_FILES; none of hidden folders, and none of environments."""
    left = MOST_FILES
    for folder, inner, names in islice(os.walk(root), MOST_FOLDERS):
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in FOREIGN)
        if "pyvenv.cfg" in names:
            inner.clear()
            continue
        for name in sorted(names):
            if name.endswith(".py"):
                yield Path(folder, name)
                left -= 1
                if not left:
                    return
