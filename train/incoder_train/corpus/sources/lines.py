"""A large file line by line, plain or zstd, in constant memory whatever is in it."""

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import zstandard

from incoder_train.corpus.sources.archives import MAX_FILE
from incoder_train.errors import UserError

MAX_LINE = 4 * MAX_FILE  # bytes: a file as JSON whose every other character is escaped


def read_lines(path: Path, dropped: Counter[str]) -> Iterator[bytes]:
    """The lines that are not blank. One longer than `MAX_LINE` is passed over and counted as a malformed row. Raises
    UserError if the file is damaged."""
    with path.open("rb") as file:
        stream: io.BufferedIOBase = file
        if path.suffix == ".zst":
            frames = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            stream = io.BufferedReader(frames, 1 << 20)  # pyright: ignore[reportArgumentType]
        try:
            while line := stream.readline(MAX_LINE):
                if len(line) == MAX_LINE and not line.endswith(b"\n"):
                    dropped["malformed row"] += 1
                    while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                elif line.strip():
                    yield line
        except (zstandard.ZstdError, OSError) as error:
            raise UserError(f"{path} is damaged ({error}); replace it.") from None
