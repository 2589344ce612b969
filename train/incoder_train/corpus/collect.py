"""From an entry of the manifest to documents: one table says, for each kind of source, how its licence is checked and how it
is read. The rooms behind it are in `sources`. What comes out is as it was
found: rows of a table still have to pass `licence_gate`, and notebooks are still JSON."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from incoder_train.corpus.document import Document
from incoder_train.corpus.manifest import Archive, Dump, Entry
from incoder_train.corpus.sources import checkouts, dumps, packages, tables
from incoder_train.corpus.stackoverflow import ThreadRules

Check = Callable[[Any, Path], None]
Read = Callable[[Any, Path, tuple[str, ...], Counter[str]], Iterator[Document]]

KINDS: dict[str, tuple[Check, Read]] = {
    **dict.fromkeys(("wheel", "sdist", "npm", "debian"), (packages.check_licence, packages.collect)),
    "folder": (checkouts.check_folder_licence, checkouts.collect_folder),
    "git": (checkouts.check_checkout_licence, checkouts.collect_checkout),
    **dict.fromkeys(("jsonl", "parquet"), (tables.check_table, tables.collect_table)),
}


def fetch(entry: Entry, cache: Path) -> Path:
    """Where the source lies on this machine: an archive in `cache`, downloaded first if it is not there; everything else
    where the manifest says. Raises UserError if it cannot be had, is not what was pinned, or is not permissively licensed."""
    path = packages.fetch(entry, cache) if isinstance(entry, Archive) else Path(entry.path)
    check_licence(entry, path)
    return path


def check_licence(entry: Entry, path: Path) -> None:
    """Raises UserError unless the licence that the source itself states is allowed and is the one in the manifest. Rows of
    a table and threads of a dump state one each, `licence_gate` judges those."""
    if isinstance(entry, Dump):
        return dumps.check_dump(entry, path)
    check, _ = KINDS[entry.kind]
    return check(entry, path)


def collect(
    entry: Entry,
    path: Path,
    extensions: tuple[str, ...],
    dropped: Counter[str] | None = None,
    *,
    threads: ThreadRules | None = None,
    work: Path | None = None,
) -> Iterator[Document]:
    """The documents of a source that `fetch` has made ready, in a fixed order; of files, those that have one of
    `extensions`. `dropped` is told what could not become a document: reason -> how many. `threads` says what of a
    StackExchange dump becomes text, `work` where it is sorted meanwhile."""
    dropped = Counter() if dropped is None else dropped
    if isinstance(entry, Dump):
        return dumps.collect_dump(entry, path, dropped, threads or ThreadRules(), work)
    _, read = KINDS[entry.kind]
    return read(entry, path, extensions, dropped)
