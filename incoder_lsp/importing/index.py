"""How a workspace imports things: its files go in; a name and the file that lacks it come in, the Import for it comes out.

The files vote, each once. A relative import is one of a place, and is written as it is from the file that asks. A name that no
file imports can still be one that a single file defines, if others import from that file: as they name it.

Places are tuples of a path's parts from the workspace folder on, a module's without its ending: ("shapes", "circle").
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from incoder_lsp.importing.statements import Import, definitions, imports

Place = tuple[str, ...]

AGREED = 0.75  # of the files that import something by a name: so many must mean the same by it. benchmarks/imports.py
FEWEST = 1  # files that do


@dataclass(frozen=True)
class File:
    place: Place
    imports: frozenset[Import]
    defines: frozenset[str]


@dataclass
class Index:
    _users: dict[str, list[tuple[Place, Import]]] = field(default_factory=lambda: defaultdict(list))
    _homes: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    _spellings: dict[Place, Counter[Import]] = field(default_factory=lambda: defaultdict(Counter))

    def __contains__(self, name: object) -> bool:
        return name in self._users or name in self._homes

    def import_of(self, name: str, asker: Place) -> Import | None:
        """None where nobody knows, or they do not agree."""
        votes = Counter(
            as_seen
            for place, one in self._users.get(name, ())
            if place != asker and (as_seen := _from(asker, place, one)) and not _is_own(as_seen, asker)
        )
        if votes:
            (best, count), *_ = votes.most_common(1)
            return best if count >= FEWEST and count >= AGREED * votes.total() else None
        homes = [place for place in self._homes.get(name, ()) if place != asker]
        if len(homes) != 1:
            return None
        spellings = Counter[Import]()
        for one, count in self._spellings.get(homes[0], {}).items():
            spellings[replace(one, name=name)] += count
        return spellings.most_common(1)[0][0] if spellings else None


def read(path: str, text: str) -> File:
    """path: from the workspace folder on, with slashes."""
    return File(place_of(path), frozenset(imports(text)), frozenset(definitions(text)))


def place_of(path: str) -> Place:
    parts = PurePosixPath(path).with_suffix("").parts
    return parts[:-1] if parts[-1:] == ("__init__",) and len(parts) > 1 else parts


def index_of(files: Iterable[File]) -> Index:
    index, known = Index(), list(files)
    by_tail: Mapping[str, list[File]] = defaultdict(list)
    for file in known:
        by_tail[file.place[-1]].append(file)
        for name in file.defines:
            index._homes[name].append(file.place)
    for file in known:
        for one in file.imports:
            index._users[one.binds].append((file.place, one))
            if one.name and not one.module.startswith("."):
                module = tuple(one.module.split("."))
                for home in by_tail.get(module[-1], ()):
                    if home.place[-len(module) :] == module:
                        index._spellings[home.place][Import(one.module)] += 1
    return index


def _from(asker: Place, user: Place, one: Import) -> Import | None:
    """The import as it is written in `asker`; None where it cannot be, as both are in no common package."""
    if not one.module.startswith("."):
        return one
    rest = one.module.lstrip(".")
    up = len(one.module) - len(rest)
    if up >= len(user):
        return None
    target = (*user[:-up], *(rest.split(".") if rest else ()))
    package = asker[:-1]
    common = 0
    while common < min(len(package), len(target)) and package[common] == target[common]:
        common += 1
    if common == 0:
        return None
    return replace(one, module="." * (len(package) - common + 1) + ".".join(target[common:]))


def _is_own(one: Import, asker: Place) -> bool:
    """A file does not import from itself."""
    module = tuple(part for part in one.module.split(".") if part)
    return bool(module) and asker[-len(module) :] == module
