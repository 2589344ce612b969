"""The order of the stages. A manifest goes in; the steps come out that make it a corpus:

    read      a task an archive:    collect, licence, notebooks, filter, redact -> documents, and the keys of each, sorted
    dedup     a task a partition:   the keys of all tasks -> which documents are copies of which
    near      a task a partition,   and `cluster`, one task: the same for near copies, if they are to go
    finish    a task an archive:    drop copies and compiled twins, decontaminate, cap tests, split -> documents

The order of documents is that of the manifest's archives and of the files in each; it decides which of equal files
stays. Nothing depends on how many workers share the tasks."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from incoder_train.corpus import copies
from incoder_train.corpus.decontaminate import benchmark_files
from incoder_train.corpus.finishing import finish_archive
from incoder_train.corpus.manifest import Dump, Entry, Folder, Manifest
from incoder_train.corpus.options import Options
from incoder_train.corpus.reading import read_archive
from incoder_train.corpus.runner import Step, fingerprint
from incoder_train.corpus.sources.checkouts import listed_files

VERSION = 2  # to be raised with every change of a stage that changes what it writes: finished tasks are then done again


def corpus_steps(
    manifest: Manifest, places: Sequence[Path], options: Options, benchmarks: Path | None
) -> tuple[Step, ...]:
    """`places` are where the fetched archives lie, in the manifest's order; without `benchmarks` nothing is
    decontaminated."""
    choices = asdict(options)
    partitions = choices.pop("partitions")
    common = fingerprint(VERSION, choices, manifest.extensions)
    reads = tuple(
        fingerprint("read", common, asdict(entry), _state(entry, place))
        for entry, place in zip(manifest.archives, places, strict=True)
    )
    parts = tuple(fingerprint("partition", reads, part, partitions) for part in range(partitions))
    contents = benchmarks and [hashlib.sha256(path.read_bytes()).hexdigest() for path in benchmark_files(benchmarks)]
    finish = fingerprint("finish", reads, manifest.tests_share, contents)

    shared = {"manifest": manifest, "options": options}
    steps = [Step("read", partial(read_archive, places=tuple(places), **shared), reads)]
    if options.dedup:
        steps.append(Step(copies.EXACT, partial(copies.find_exact, tasks=len(reads)), parts))
    if options.near_dedup:
        steps.append(Step(copies.NEAR, partial(copies.find_near, tasks=len(reads)), parts))
        steps.append(Step(copies.CLUSTER, partial(copies.cluster_near, parts=partitions), (fingerprint(parts),)))
    finishes = tuple(fingerprint(finish, rank, partitions) for rank in range(len(reads)))
    steps.append(Step("finish", partial(finish_archive, benchmarks=benchmarks, **shared), finishes))
    return tuple(steps)


def _state(entry: Entry, place: Path) -> list[tuple[str, int, int]]:
    """Of what no checksum pins, the files with their sizes and times."""
    if not isinstance(entry, Folder | Dump):
        return []
    names = listed_files(place) if isinstance(entry, Folder) else sorted(path.name for path in place.iterdir())
    states = [(name, (place / name).lstat()) for name in names]
    return [(name, state.st_size, state.st_mtime_ns) for name, state in states]
