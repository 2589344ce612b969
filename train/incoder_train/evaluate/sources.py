"""The held-out sources: whole files of packages that no model of ours may learn from (HELD_OUT in corpus/manifest.py). They
come along as one compressed file, heldout.jsonl.xz, so that everybody tests on the same text. selection.py writes it."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from incoder_train.errors import UserError

SHIPPED = Path(__file__).parent / "data" / "heldout.jsonl.xz"
# What a file is written in, by its extension; of all others nothing is taken.
LANGUAGES = {
    ".py": "python",
    ".ts": "typescript",
    ".tsx": "typescript",
    ".mts": "typescript",
    ".js": "javascript",
    ".mjs": "javascript",
    ".rs": "rust",
    ".go": "go",
    ".hpp": "c++",
}


@dataclass(frozen=True)
class Source:
    """One file, as the corpus pipeline leaves it: e-mail addresses are replaced."""

    package: str
    version: str
    licence: str  # SPDX expression
    path: str  # inside the package, with forward slashes
    text: str

    @property
    def id(self) -> str:
        return f"{self.package}/{self.path}"

    @property
    def lang(self) -> str:
        return LANGUAGES[PurePosixPath(self.path).suffix]


@cache
def load_sources(path: Path = SHIPPED) -> tuple[Source, ...]:
    """The held-out files, in the order of the file, which is fixed. Raises UserError when it is missing or damaged."""
    try:
        content = lzma.decompress(path.read_bytes()).decode()
        return tuple(Source(**json.loads(line)) for line in content.splitlines())
    except (OSError, lzma.LZMAError, ValueError, TypeError) as error:
        raise UserError(f"{path} holds no held-out sources ({error}); install the package again.") from None


def write_sources(path: Path, sources: Iterable[Source]) -> None:
    """The same sources give the same bytes, for one version of liblzma."""
    lines = "".join(json.dumps(asdict(source)) + "\n" for source in sources)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(lzma.compress(lines.encode(), preset=9 | lzma.PRESET_EXTREME))
    unfinished.replace(path)
