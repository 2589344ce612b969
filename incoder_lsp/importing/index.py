"""How a workspace imports things: its files go in; a name and the file that lacks it come in, the Import for it comes out.

The files vote, each once, on what is meant; how it is spelled is another vote among those. A relative import is one of a place,
and is written as it is from the file that asks. A name that no file imports can still be one that a single file defines, if others
import from that file: as they name it.

Places are tuples of a path's parts from the workspace folder on, a module's without its ending: ("shapes", "circle").
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from incoder_lsp.importing.statements import Import, definitions, imports

Place = tuple[str, ...]

Meaning = tuple[Place, str]  # a module, and a name of it or ""

# Of the files that import something by a name so many must mean the same by it. `python benchmarks/imports.py`: 19 of 20 imports
# that are written then are those that people had written, and four of five that they had are.
AGREED = 0.75


@dataclass(frozen=True)
class File:
    place: Place
    imports: frozenset[Import]
    defines: frozenset[str]


@dataclass
class Index:
    _users: dict[str, list[tuple[Place, Import, Meaning]]] = field(
        default_factory=lambda: defaultdict(list)
    )  # by what it binds
    _homes: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))  # of a name, where it is defined
    _spellings: dict[Place, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )  # what others call a module

    def import_of(self, name: str, asker: Place) -> Import | None:
        """None where nobody knows, or they do not agree."""
        seen = [
            (meaning, as_seen)
            for place, one, meaning in self._users.get(name, ())
            if place != asker and meaning[0] != asker and (as_seen := _from(asker, place, one))
        ]
        if seen:
            (best, count), *_ = Counter(meaning for meaning, _ in seen).most_common(1)
            if count < AGREED * len(seen):
                return None
            return Counter(as_seen for meaning, as_seen in seen if meaning == best).most_common(1)[0][0]
        homes = [place for place in self._homes.get(name, ()) if place != asker]
        spellings = self._spellings.get(homes[0]) if len(homes) == 1 else None
        return Import(spellings.most_common(1)[0][0], name) if spellings else None


def read(path: str, text: str) -> File:
    """path: from the workspace folder on, with slashes."""
    return File(place_of(path), frozenset(imports(text)), frozenset(definitions(text)))


def place_of(path: str) -> Place:
    parts = PurePosixPath(path).with_suffix("").parts
    return parts[:-1] if parts[-1:] == ("__init__",) and len(parts) > 1 else parts


def index_of(files: Iterable[File]) -> Index:
    index, known = Index(), list(files)
    by_tail: dict[str, list[Place]] = defaultdict(list)
    for file in known:
        by_tail[file.place[-1]].append(file.place)
        for name in file.defines:
            index._homes[name].append(file.place)
    for file in known:
        for one in file.imports:
            target = _target(file.place, one)
            if not one.module.startswith("."):
                homes = [place for place in by_tail.get(target[-1], ()) if place[-len(target) :] == target]
                target = homes[0] if len(homes) == 1 else target
                if one.name:
                    index._spellings[target][one.module] += 1
            index._users[one.binds].append((file.place, one, (target, one.name)))
    return index


def _target(user: Place, one: Import) -> Place:
    """The module that is imported from, as far as the statement says it."""
    rest = one.module.lstrip(".")
    up = len(one.module) - len(rest)
    return (*(user[:-up] if up else ()), *(rest.split(".") if rest else ()))


def _from(asker: Place, user: Place, one: Import) -> Import | None:
    """The import as it is written in `asker`; None where it cannot be, as both are in no common package."""
    if not one.module.startswith("."):
        return one
    target, package = _target(user, one), asker[:-1]
    common = 0
    while common < min(len(package), len(target)) and package[common] == target[common]:
        common += 1
    if common == 0:
        return None
    return replace(one, module="." * (len(package) - common + 1) + ".".join(target[common:]))
