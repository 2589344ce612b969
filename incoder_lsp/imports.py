"""The files that a file imports: its text and the folders of the workspace come in, files of the workspace go out.

Of Python and of what looks like JavaScript; packages that are installed elsewhere are not followed. Nothing outside the folders
is read, whatever a link says, nor what `silence` would not suggest in. For the worker's thread: it reads the disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath

from incoder_lsp.ignored import is_ignored
from incoder_lsp.neighbours import File
from incoder_lsp.silence import is_private

MOST = 12  # files, the first ones
MOST_PLACES = 2000  # that are looked at
LARGEST = 200_000  # bytes of a file that is read
KEPT = 64  # texts

_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+(?:\(([^)]*)\)|([^\n#;]*))", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+(\w[\w., \t]*)", re.MULTILINE)
_RELATIVE = re.compile(r"""(?:\bfrom|\bimport|\brequire[ \t]*\(|\bimport[ \t]*\()[ \t]*["'](\.{1,2}/[^"'\n\0]+)["']""")
_SCRIPTS = (".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs")
_BUILT = {".js": (".ts", ".tsx"), ".mjs": (".mts",), ".jsx": (".tsx",)}  # TypeScript names what it will be compiled to


class Imports:
    """Texts that were read are kept until the file changes."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[tuple[int, int], str]] = {}  # by real path: time and size, text

    def of(self, path: str, text: str, folders: Sequence[str]) -> list[File]:
        """What the file at `path` imports, from inside `folders`; nothing where it is itself outside."""
        roots = [os.path.realpath(folder) for folder in folders]
        if not _inside(path, roots):
            return []
        found: dict[str, File] = {}
        for place in islice(_places(path, text, roots), MOST_PLACES):
            if not place.is_file():
                continue
            real = os.path.realpath(place)
            if real in found or real == os.path.realpath(path) or not _inside(real, roots):
                continue
            if _allowed(place, real) and (content := self._read(real)) is not None:
                found[real] = File(str(place), content)
            if len(found) == MOST:
                break
        return list(found.values())

    def _read(self, real: str) -> str | None:
        with suppress(OSError, ValueError):
            known = Path(real).stat()
            stamp = known.st_mtime_ns, known.st_size
            if real in self._texts and self._texts[real][0] == stamp:
                return self._texts[real][1]
            if known.st_size > LARGEST:
                return None
            text = Path(real).read_text(encoding="utf-8")
            self._texts[real] = stamp, text
            while len(self._texts) > KEPT:
                del self._texts[next(iter(self._texts))]
            return text
        return None


def _places(path: str, text: str, roots: Sequence[str]) -> Iterator[Path]:
    """Where an imported file may be; it need not exist."""
    here = Path(path).parent
    ending = PurePosixPath(path).suffix
    if ending in (".py", ".pyi"):
        for dots, module, names in _python(text):
            steps = [step for step in module.split(".") if step]
            for base in _bases(here, len(dots), roots):
                yield from _modules(base, steps, names)
    elif ending in _SCRIPTS:
        for match in _RELATIVE.finditer(text):
            yield from _scripts(here / match[1])


def _python(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """(leading dots, module, imported names) of every import, in their order."""
    found = [(match.start(), (match[1], match[2], _names(match[3] or match[4]))) for match in _FROM.finditer(text)]
    for match in _IMPORT.finditer(text):
        found += [(match.start(), ("", name, [])) for name in _names(match[1])]
    return iter(imported for _, imported in sorted(found))


def _names(listed: str) -> list[str]:
    """`a as b, c` has a and c."""
    firsts = (part.split("#")[0].split() for part in re.split(r"[,\n]", listed))
    return [words[0] for words in firsts if words and words[0] != "*"]


def _bases(here: Path, dots: int, roots: Sequence[str]) -> Iterator[Path]:
    """The folders in which a module's first name is looked for, the nearest first."""
    if dots:
        yield here.joinpath(*[".."] * (dots - 1))
        return
    above = [folder for folder in (here, *here.parents) if _inside(str(folder), roots)]
    yield from above
    yield from (Path(root, "src") for root in roots)


def _modules(base: Path, steps: Sequence[str], names: Sequence[str]) -> Iterator[Path]:
    module = base.joinpath(*steps)
    if steps:
        yield module.with_suffix(".py")
    for name in names:
        yield module / f"{name}.py"
    yield module / "__init__.py"


def _scripts(place: Path) -> Iterator[Path]:
    yield place
    for ending in _BUILT.get(place.suffix, ()):
        yield place.with_suffix(ending)
    for ending in _SCRIPTS:
        yield place.with_name(place.name + ending)
    for ending in _SCRIPTS:
        yield place / f"index{ending}"


def _allowed(place: Path, real: str) -> bool:
    """By either name; what the text says against it is asked where it is chosen."""
    return not (is_private(str(place)) or is_private(real) or is_ignored(place))


def _inside(path: str, roots: Sequence[str]) -> bool:
    real = os.path.realpath(path)
    return any(real == root or real.startswith(root.rstrip(os.sep) + os.sep) for root in roots)
