"""Tables of files: JSON lines (plain or zstd) and Parquet, one file a row with what is known of its repository. Rows are read
one after the other, so a table may be larger than memory."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from incoder_train.corpus.document import Document, source_file
from incoder_train.corpus.licence import all_of, normalised, require_permissive
from incoder_train.corpus.manifest import Table, held_out
from incoder_train.corpus.sources.archives import MAX_FILE, plain_path
from incoder_train.corpus.sources.lines import read_lines
from incoder_train.corpus.sources.packages import require_sha256
from incoder_train.corpus.sources.stars import repository_attributes
from incoder_train.errors import UserError

# What each column may be called; the first that a row has counts.
COLUMNS = {
    "text": ("text", "content"),
    "path": ("path",),
    "repository": ("repository", "repo_name"),
    "licence": ("licence", "license", "licences", "licenses"),
    "stars": ("stars",),
    "source": ("source",),
    "crawl": ("crawl",),
}
ROWS = 256  # of a Parquet file in memory at a time


def check_table(entry: Table, path: Path) -> None:
    """Raises UserError unless the table is the pinned one and the licence for rows without one, if any, is allowed."""
    if not path.is_file():
        raise UserError(f"{path} is no file; correct the path of {entry.name} in the manifest.")
    require_sha256(path, entry.sha256, entry.name)
    if entry.licence:
        require_permissive(f"{entry.name} in the manifest", normalised(entry.licence), entry.licence)


def collect_table(entry: Table, path: Path, extensions: tuple[str, ...], dropped: Counter[str]) -> Iterator[Document]:
    """The rows whose path has one of `extensions`, in the order of the table. Each has a licence of its own, which
    is still to be judged."""
    rows = _parquet_rows(path) if entry.kind == "parquet" else map(_json_row, read_lines(path, dropped))
    for row in rows:
        document = _document(row, entry) if isinstance(row, Mapping) else "malformed row"
        if isinstance(document, str):
            dropped[document] += 1
        elif document.ext in extensions:
            yield document


def _document(row: Mapping[str, Any], entry: Table) -> Document | str:
    """The row's file, or why there is none."""
    cells = {
        name: next((row[c] for c in spellings if row.get(c) is not None), None) for name, spellings in COLUMNS.items()
    }
    text, path, repository = cells["text"], cells["path"], cells["repository"] or ""
    if not (isinstance(text, str | bytes) and isinstance(path, str) and isinstance(repository, str)):
        return "malformed row"
    if len(text) > MAX_FILE:
        return "file over 32 MiB"
    if (plain := plain_path(path)) is None or not PurePosixPath(plain).name:
        return "path leads out of the archive"
    if held_out(repository):
        return "held out for evaluation"
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    licence = _licence(cells["licence"]) or normalised(entry.licence)
    attributes = repository_attributes(
        _word(cells["source"]) or entry.source, _stars(cells["stars"]), _word(cells["crawl"]) or entry.crawl
    )
    return source_file(plain, content, entry.name, licence, repository, attributes)


def _licence(cell: object) -> str:
    """A name or expression; several in a list hold together."""
    names = cell if isinstance(cell, list) else [cell] if cell else []
    return all_of(normalised(str(name)) for name in names) if names else ""


def _word(cell: object) -> str:
    """A value that may stand in a header: anything with a space or a sign of the format in it is left out."""
    return cell if isinstance(cell, str) and cell.isidentifier() else ""


def _stars(cell: object) -> int:
    return int(cell) if isinstance(cell, int | float) and math.isfinite(cell) else -1


def _json_row(line: bytes) -> object:
    """None if the line is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _parquet_rows(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise UserError(
            f'Reading {path} needs pyarrow; install it with `pip install "incoder-lsp[parquet]"`.'
        ) from None
    known = {spelling for spellings in COLUMNS.values() for spelling in spellings}
    try:
        with parquet.ParquetFile(path) as table:
            columns = [name for name in table.schema_arrow.names if name in known]
            for batch in table.iter_batches(batch_size=ROWS, columns=columns):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        said = str(error).splitlines()[0] if str(error) else "it cannot be read"
        raise UserError(f"{path} is damaged ({said}); replace it.") from None
