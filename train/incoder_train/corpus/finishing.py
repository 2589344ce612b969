"""The last task of an archive: the documents that its first task left and what is known of all copies go in; what the
corpus gets of the archive comes out."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from heapq import nlargest
from pathlib import Path

from incoder_train.corpus import copies
from incoder_train.corpus.decontaminate import Window, drop_contaminated, read_windows
from incoder_train.corpus.dedup import drop_found
from incoder_train.corpus.document import Document, Stage, Verdict
from incoder_train.corpus.filters import cap_tests
from incoder_train.corpus.lines import PART, read_part, write_part
from incoder_train.corpus.manifest import Dump, Manifest, Table
from incoder_train.corpus.options import Options
from incoder_train.corpus.runner import Counts, kept_statistics, place, writing
from incoder_train.corpus.tally import counted, language, noting, tallied
from incoder_train.corpus.twins import drop_twins

VALIDATION_SHARE = 0.01  # paper: 1 %
TOP_ORIGINALS = 20  # of the files with the most copies, so many are named


def finish_archive(
    rank: int, world: int, work: Path, *, manifest: Manifest, options: Options, benchmarks: Path | None
) -> Counts:
    duplicates: Counts = {"archives": {}, "originals": []}
    dropped, note = copies.reasons(rank, work, options, duplicates)
    stages: dict[str, Stage] = {"dedup": partial(drop_found, dropped=dropped)}
    larger_than_memory = isinstance(manifest.archives[rank], Table | Dump)
    if options.own_rules and not larger_than_memory:
        stages["twins"] = drop_twins
    if benchmarks is not None:
        stages["decontaminate"] = partial(drop_contaminated, windows=benchmark_windows(benchmarks))
    stages["tests"] = keep_all if larger_than_memory else partial(cap_tests, tests_share=manifest.tests_share)

    counts: Counts = {}
    contaminated: list[str] = []
    tables: dict[str, Counts] = {"splits": {}, "archives": {}, "languages": {}}
    documents: Iterable[Document] = read_part(
        place(work, "read", rank, PART), kept_statistics(work, "read", rank)["documents"]
    )
    documents = noting(documents, note)
    for name, stage in stages.items():
        on_drop = _name_into(contaminated) if name == "decontaminate" else None
        documents = counted(stage(documents), counts.setdefault(name, {}), on_drop)
    documents = (replace(document, split=split_of(document, options.split_by)) for document in documents)
    documents = tallied(documents, tables["splits"], lambda document: document.split)
    documents = tallied(documents, tables["archives"], lambda document: document.archive)
    documents = tallied(documents, tables["languages"], language)
    with writing(place(work, "finish", rank, PART)) as temporary:
        written = write_part(temporary, documents, level=9)
    duplicates["originals"] = top_originals(duplicates["originals"])
    return {"documents": written, "stages": counts, "contaminated": contaminated, "duplicates": duplicates, **tables}


def keep_all(documents: Iterable[Document]) -> Iterator[Verdict]:
    return ((document, None) for document in documents)


def split_of(document: Document, split_by: str) -> str:
    """Where a document belongs: train or validation. Paper and code split by project; with ten projects that would mean
    to validate on one team's style, so by default single files are set aside, chosen by a hash of where they lie."""
    project = (document.repository or document.archive).rpartition("/")[2].lower()
    unit = f"{document.archive}/{document.path}" if split_by == "file" else project
    digest = hashlib.sha256(unit.encode()).digest()
    return "validation" if int.from_bytes(digest[:8], "big") < VALIDATION_SHARE * 2**64 else "train"


def top_originals(originals: Iterable[Counts]) -> list[Counts]:
    return nlargest(TOP_ORIGINALS, originals, key=lambda row: row["copies"])


@cache  # a worker finishes many archives
def benchmark_windows(benchmarks: Path) -> dict[Window, str]:
    return read_windows(benchmarks)


def _name_into(contaminated: list[str]):
    return lambda document, reason: contaminated.append(f"{document.archive}: {document.path} {reason}")
