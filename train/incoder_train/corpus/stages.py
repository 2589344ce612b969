"""The order of the stages. A manifest goes in; the steps come out that make it a corpus:

    read      a task an archive:    collect, filter, redact -> read/RANK.jsonl.zst; the keys of its documents, sorted
    dedup     a task a partition:   the keys of all tasks -> which documents are copies of which
    finish    a task an archive:    drop copies, decontaminate, cap tests, split -> finish/RANK.jsonl.zst

The order of documents is that of the manifest's archives and of the files in each; it decides which of equal files
stays. Nothing depends on how many workers share the tasks."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from heapq import nlargest
from pathlib import Path

import numpy as np

from incoder_train.corpus.collect import collect
from incoder_train.corpus.decontaminate import Window, benchmark_files, drop_contaminated, read_windows
from incoder_train.corpus.dedup import COPY, dedup_key, drop_found, find_copies, key_table, of_rank
from incoder_train.corpus.document import Document, Stage
from incoder_train.corpus.filters import cap_tests
from incoder_train.corpus.lines import load_table, read_part, save_table, write_part
from incoder_train.corpus.manifest import Manifest
from incoder_train.corpus.options import Options
from incoder_train.corpus.redact import redact_documents
from incoder_train.corpus.rules import filter_by_options
from incoder_train.corpus.runner import Counts, Step, fingerprint, kept_statistics, place, writing
from incoder_train.corpus.tally import counted, noting, size_of, tallied

VERSION = 1  # to be raised with every change of a stage that changes what it writes: finished tasks are then done again
VALIDATION_SHARE = 0.01  # paper: 1 %
TOP_ORIGINALS = 20  # of the files with the most copies, so many are named
PART, KEYS, EQUALS = ".jsonl.zst", ".keys.npy", ".equals.npy"


def corpus_steps(
    manifest: Manifest, archives: Sequence[Path], options: Options, benchmarks: Path | None
) -> tuple[Step, ...]:
    """`archives` are the fetched ones, in the manifest's order; without `benchmarks` nothing is decontaminated."""
    choices = asdict(options)
    partitions = choices.pop("partitions")
    common = (VERSION, choices, manifest.extensions)
    reads = tuple(fingerprint("read", *common, asdict(archive)) for archive in manifest.archives)
    # The windows' hash, not the folder's name: a benchmark added to the folder makes a different corpus.
    windows = benchmarks and [hashlib.sha256(path.read_bytes()).hexdigest() for path in benchmark_files(benchmarks)]
    finish = fingerprint("finish", reads, partitions, manifest.tests_share, windows)
    shared = {"manifest": manifest, "options": options}
    return (
        Step("read", partial(read_archive, archives=tuple(archives), **shared), reads),
        Step(
            "dedup",
            partial(find_in_part, tasks=len(reads)),
            tuple(fingerprint("dedup", reads, part, partitions) for part in range(partitions)),
        ),
        Step(
            "finish",
            partial(finish_archive, benchmarks=benchmarks, **shared),
            tuple(fingerprint(finish, rank) for rank in range(len(reads))),
        ),
    )


def read_archive(
    rank: int, world: int, work: Path, *, manifest: Manifest, archives: Sequence[Path], options: Options
) -> Counts:
    """Collects one archive's documents, filters and redacts each, writes them and the table of their keys."""
    stages: dict[str, Stage] = {"filter": partial(filter_by_options, options=options)}
    if options.redact:
        stages["redact"] = redact_documents
    collected: Counts = {}
    counts: Counts = {}
    keys: list[object] = []
    documents = collect(manifest.archives[rank], archives[rank], manifest.extensions)
    documents = tallied(documents, collected, language)
    for name, stage in stages.items():
        documents = counted(stage(documents), counts.setdefault(name, {}))
    documents = noting(documents, lambda ordinal, document: keys.append(dedup_key(document)))
    with writing(place(work, "read", rank, PART)) as temporary:
        written = write_part(temporary, documents, level=1)
    with writing(place(work, "read", rank, KEYS)) as temporary:
        save_table(temporary, key_table(keys))
    return {"documents": written, "collected": collected, "stages": counts}


def find_in_part(rank: int, world: int, work: Path, *, tasks: int) -> Counts:
    """Finds the copies among all documents whose keys lie in one part of the key space."""
    equals = find_copies([load_table(place(work, "read", task, KEYS)) for task in range(tasks)], rank, world)
    with writing(place(work, "dedup", rank, EQUALS)) as temporary:
        save_table(temporary, equals)
    return {"copies": int(np.count_nonzero(equals["copies"] == 0))}


def finish_archive(
    rank: int, world: int, work: Path, *, manifest: Manifest, options: Options, benchmarks: Path | None
) -> Counts:
    """Drops one archive's copies, contaminated files and too many tests; writes what the corpus gets of it."""
    stages: dict[str, Stage] = {}
    duplicates: Counts = {"archives": {}, "originals": []}
    documents = read_part(place(work, "read", rank, PART), kept_statistics(work, "read", rank)["documents"])
    if options.dedup:
        equals = [of_rank(load_table(place(work, "dedup", part, EQUALS)), rank) for part in range(options.partitions)]
        first_ranks = {
            int(row["ordinal"]): int(row["first_rank"]) for row in np.concatenate(equals) if not row["copies"]
        }
        copies = {int(row["ordinal"]): int(row["copies"]) for row in np.concatenate(equals) if row["copies"]}
        documents = noting(documents, _duplicates_into(duplicates, rank, first_ranks, copies))
        stages["dedup"] = partial(drop_found, dropped=dict.fromkeys(first_ranks, COPY))
    if benchmarks is not None:
        stages["decontaminate"] = partial(drop_contaminated, windows=benchmark_windows(benchmarks))
    stages["tests"] = partial(cap_tests, tests_share=manifest.tests_share)

    counts: Counts = {}
    contaminated: list[str] = []
    tables: dict[str, Counts] = {"splits": {}, "archives": {}, "languages": {}}
    for name, stage in stages.items():
        on_drop = _name_into(contaminated) if name == "decontaminate" else None
        documents = counted(stage(documents), counts.setdefault(name, {}), on_drop)
    documents = (replace(document, split=split_of(document, options.split_by)) for document in documents)
    documents = tallied(documents, tables["splits"], lambda document: document.split)
    documents = tallied(documents, tables["archives"], lambda document: document.archive)
    documents = tallied(documents, tables["languages"], language)
    with writing(place(work, "finish", rank, PART)) as temporary:
        written = write_part(temporary, documents, level=9)
    duplicates["originals"] = nlargest(TOP_ORIGINALS, duplicates["originals"], key=lambda row: row["copies"])
    return {"documents": written, "stages": counts, "contaminated": contaminated, "duplicates": duplicates, **tables}


def language(document: Document) -> str:
    return document.ext or "no extension"


def split_of(document: Document, split_by: str = "file") -> str:
    """Where a document belongs: train or validation. Paper and code split by project; with ten projects that would mean
    to validate on one team's style, so by default single files are set aside, chosen by a hash of where they lie."""
    place = f"{document.archive}/{document.path}" if split_by == "file" else document.archive.lower()
    digest = hashlib.sha256(place.encode()).digest()
    return "validation" if int.from_bytes(digest[:8], "big") < VALIDATION_SHARE * 2**64 else "train"


def _duplicates_into(
    duplicates: Counts, rank: int, first_ranks: dict[int, int], copies: dict[int, int]
) -> Callable[[int, Document], None]:
    """Notes where copies lay, how many of them were of the same archive's own files, and of what there are copies."""

    def note(ordinal: int, document: Document) -> None:
        if ordinal in first_ranks:
            row = duplicates["archives"].setdefault(document.archive, {"documents": 0, "bytes": 0, "own": 0})
            row["documents"] += 1
            row["bytes"] += size_of(document)
            row["own"] += first_ranks[ordinal] == rank
        elif ordinal in copies:
            duplicates["originals"].append(
                {"archive": document.archive, "path": document.path, "copies": copies[ordinal]}
            )

    return note


def _name_into(contaminated: list[str]) -> Callable[[Document, str], None]:
    return lambda document, reason: contaminated.append(f"{document.archive}: {document.path} {reason}")


@cache  # a worker finishes many archives
def benchmark_windows(benchmarks: Path) -> dict[Window, str]:
    return read_windows(benchmarks)
