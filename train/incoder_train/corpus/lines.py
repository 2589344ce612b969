"""Documents and tables on disk. Documents are JSON lines in zstd frames, tables are NumPy's; of both, a file that was cut
short or is damaged is told from a whole one."""

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import zstandard

from incoder_train.corpus.document import Document
from incoder_train.errors import UserError

PART = ".jsonl.zst"
# Of the fields that few documents have, a line holds those that this one has.
RARE = ("repository", "attributes", "own_metadata")


def write_part(path: Path, documents: Iterable[Document], *, level: int) -> int:
    """Writes one frame of `documents` and returns how many they were."""
    written = 0
    compressor = zstandard.ZstdCompressor(level, write_checksum=True)
    with path.open("wb") as file, compressor.stream_writer(file) as stream:
        for document in documents:
            fields = {name: value for name, value in vars(document).items() if value or name not in RARE}
            stream.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
            written += 1
    return written


def read_part(path: Path, count: int) -> Iterator[Document]:
    """The documents of a file that should hold `count`, however many frames it has. Raises UserError at the first sign
    of damage, at the latest behind the last document."""
    found = 0
    try:
        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream,
        ):
            for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n"):
                if not line.endswith("\n"):
                    break
                found += 1
                yield Document(**json.loads(line))
    except (zstandard.ZstdError, ValueError) as error:
        raise _damaged(path, str(error)) from None
    if found != count:
        raise _damaged(path, f"{found:,} of {count:,} documents")


def save_table(path: Path, table: np.ndarray) -> None:
    with path.open("wb") as file:  # np.save would append its suffix to a path
        np.save(file, table)


def load_table(path: Path) -> np.ndarray:
    """Memory-mapped. Raises UserError if the file is not whole."""
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} is cut short or damaged ({why}); delete it and build again.")
