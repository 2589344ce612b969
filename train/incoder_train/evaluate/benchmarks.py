"""Where the files of the benchmarks are: those that come along (`data/`, with their licences), and those that a person brings."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from incoder_train.errors import UserError
from incoder_train.evaluate.case import Settings

SHIPPED = Path(__file__).with_name("data")
VARIABLE = "INCODER_BENCHMARKS"


def brought(settings: Settings, name: str, source: str) -> Path:
    """The file `name`, such as "mbpp/mbpp.jsonl.gz", in the folder that the settings or the environment name.

    Raises UserError, with `source` as where to get it, when it is not there."""
    folder = settings.benchmarks or (Path(named) if (named := os.environ.get(VARIABLE)) else None)
    if folder is None:
        raise UserError(f"{name} does not come along; name, in {VARIABLE}, a folder that has it; it is from {source}")
    if not (folder / name).is_file():
        raise UserError(f"{folder} has no {name}; it is from {source}")
    return folder / name


def read_rows(path: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of a gzipped file of JSON lines, at least one. Raises UserError when it is another file, or one lacks a key."""
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8")
        rows = [json.loads(line) for line in text.splitlines() if line]
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is no gzipped file of JSON lines ({error}); get it again") from None
    if not rows:
        raise UserError(f"{path} is empty; get it again")
    for row in rows:
        if missing := [key for key in keys if not isinstance(row, dict) or key not in row]:
            raise UserError(f"{path} has a line without {missing[0]!r}; it is not the file that belongs here")
    return rows
