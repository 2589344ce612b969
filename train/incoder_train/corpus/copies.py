"""Copies and near copies among all documents, found with the memory of one partition. Each `read` task leaves the keys of
its documents, sorted; a task for each part of the key space merges what lies in it of all tables; `reasons` says which of
an archive's documents are dropped."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from incoder_train.corpus.dedup import COPY, dedup_key, find_copies, key_table, of_rank, part_of
from incoder_train.corpus.document import Document
from incoder_train.corpus.lines import load_table, save_table
from incoder_train.corpus.neardup import band_keys, later_members, links
from incoder_train.corpus.options import Options
from incoder_train.corpus.runner import Counts, place, writing
from incoder_train.corpus.tally import size_of

EXACT, NEAR, CLUSTER = "dedup", "near", "cluster"  # steps
KEYS, BANDS, EQUALS, LINKS, LATER = ".keys.npy", ".bands.npy", ".equals.npy", ".links.npy", ".later.npy"
NEAR_COPY = "near copy of an earlier file"
RANK_SHIFT = 40  # a document's number among all: its task's rank above these bits, its number in the task below

BAND = np.dtype([("high", "<u8"), ("ordinal", "<u4")])


@dataclass
class Keys:
    """What is noted of each document of a `read` task."""

    near_rows: int  # in a band of near copies' keys; 0 if they are not to be found
    exact: list[object] = field(default_factory=list)
    bands: list[np.ndarray] = field(default_factory=list)

    def add(self, ordinal: int, document: Document) -> None:
        self.exact.append(dedup_key(document))
        if self.near_rows:
            self.bands.append(band_keys(document.text, self.near_rows))

    def write(self, work: Path, rank: int) -> None:
        _save(work, "read", rank, KEYS, key_table(self.exact))
        if self.near_rows:
            table = np.empty(sum(map(len, self.bands)), BAND)
            table["high"] = np.concatenate([*self.bands, np.empty(0, np.uint64)])
            table["ordinal"] = np.repeat(np.arange(len(self.bands), dtype=np.uint32), [len(b) for b in self.bands])
            _save(work, "read", rank, BANDS, table[np.lexsort((table["ordinal"], table["high"]))])


def find_exact(rank: int, world: int, work: Path, *, tasks: int) -> Counts:
    equals = find_copies([load_table(place(work, "read", task, KEYS)) for task in range(tasks)], rank, world)
    _save(work, EXACT, rank, EQUALS, equals)
    return {"copies": int(np.count_nonzero(equals["copies"] == 0))}


def find_near(rank: int, world: int, work: Path, *, tasks: int) -> Counts:
    keys, numbers = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    for task in range(tasks):
        table = part_of(load_table(place(work, "read", task, BANDS)), rank, world)
        keys.append(table["high"])
        numbers.append(table["ordinal"] + np.uint64(task << RANK_SHIFT))
    pairs = links(np.concatenate(keys), np.concatenate(numbers))
    _save(work, NEAR, rank, LINKS, pairs)
    return {"links": len(pairs)}


def cluster_near(rank: int, world: int, work: Path, *, parts: int) -> Counts:
    pairs = np.concatenate([load_table(place(work, NEAR, part, LINKS)) for part in range(parts)])
    later = later_members(pairs)
    _save(work, CLUSTER, rank, LATER, later)
    return {"near_copies": len(later)}


def reasons(
    rank: int, work: Path, options: Options, duplicates: Counts
) -> tuple[dict[int, str], Callable[[int, Document], None]]:
    """Which documents of a task go, by number, and why; and what is to be told each of its documents, so that
    `duplicates` says where copies lay and of which files there are most."""
    dropped: dict[int, str] = {}
    first_ranks: dict[int, int] = {}
    copied: dict[int, int] = {}
    if options.near_dedup:
        later = load_table(place(work, CLUSTER, 0, LATER))
        first, last = np.searchsorted(later, np.array([rank, rank + 1], np.uint64) << np.uint64(RANK_SHIFT))
        dropped |= dict.fromkeys((later[first:last] & np.uint64((1 << RANK_SHIFT) - 1)).tolist(), NEAR_COPY)
    if options.dedup:
        parts = (load_table(place(work, EXACT, part, EQUALS)) for part in range(options.partitions))
        equals = np.concatenate([of_rank(part, rank) for part in parts])
        first_ranks = {ordinal: first for _, ordinal, first, copies in equals.tolist() if not copies}
        copied = {ordinal: copies for _, ordinal, _, copies in equals.tolist() if copies}
        dropped |= dict.fromkeys(first_ranks, COPY)

    def note(ordinal: int, document: Document) -> None:
        if ordinal in first_ranks:
            row = duplicates["archives"].setdefault(document.archive, {"documents": 0, "bytes": 0, "own": 0})
            row["documents"] += 1
            row["bytes"] += size_of(document)
            row["own"] += first_ranks[ordinal] == rank
        elif ordinal in copied:
            original = {"archive": document.archive, "path": document.path, "copies": copied[ordinal]}
            duplicates["originals"].append(original)

    return dropped, note


def _save(work: Path, step: str, rank: int, suffix: str, table: np.ndarray) -> None:
    with writing(place(work, step, rank, suffix)) as temporary:
        save_table(temporary, table)
