"""Does git ignore a file? A path comes in, the answer goes out; git itself need not be there.

What is read is what git reads, the nearest last, as the last word counts: the user's own `git/ignore`, the repository's
`info/exclude` and the `.gitignore` of each folder on the way. Nothing below an ignored folder comes back. A file that was added
in spite of them counts as ignored here: that is known to the index alone.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path, PurePosixPath

from incoder_lsp.patterns import Lines, steps, verdict

MOST = 1_000_000  # bytes of one file that are read

Rules = tuple[tuple[Path, Lines], ...]  # the folder that the lines are about, and the lines; the last ones count most


def is_ignored(file: Path, folder: Path | None = None) -> bool:
    """`folder`: the workspace folder that the file is in. Where that is ignored itself, whoever opened it meant it, and what is
    said above it does not count."""
    root = next((parent for parent in file.parents if (parent / ".git").exists()), None)
    if root is None:
        return False
    rules: Rules = ((root, _lines(_users_own())), (root, _lines(root / ".git" / "info" / "exclude")))
    if folder and root in folder.parents and _is_named(folder, root, rules, is_folder=True):
        root, rules = folder, ()
    return _is_named(file, root, rules)


def _is_named(path: Path, root: Path, rules: Rules, *, is_folder: bool = False) -> bool:
    for step, folder in steps(PurePosixPath(path.relative_to(root).as_posix()), is_folder=is_folder):
        place = root / step
        rules = (*rules, (place.parent, _lines(place.parent / ".gitignore")))
        words = (
            verdict(lines, place.relative_to(base).as_posix(), is_folder=folder) for base, lines in reversed(rules)
        )
        if next((word for word in words if word is not None), False):
            return True
    return False


def _users_own() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git" / "ignore"


def _lines(file: Path) -> Lines:
    try:
        found = file.stat()
        return _read(file, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError):
        return ()


@lru_cache(maxsize=256)
def _read(file: Path, _: int, size: int) -> Lines:
    """By time and size, so that it is read again when it has changed."""
    return tuple(file.read_bytes()[:MOST].decode(errors="replace").splitlines()) if size else ()
