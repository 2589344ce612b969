"""Throughput of the corpus pipeline beside datatrove's, doing the same work on the same files in the same run.

    python benchmarks/data_throughput.py [--folder DIR]... [--megabytes 100] [--rounds 3] [--json OUT]

Two tables. The first is of single stages, one core each, in MB of text per second of processor time; the second of whole
pipelines (filter, redact, deduplicate) from JSON lines to JSON lines, with one worker and with two. Both sides take turns in
each round and the best round of each counts: other load on the machine makes single rounds slow, the ratio much less so.

Both sides must keep the same documents in the end, or this script fails. Where the work differs: ours tallies drops and bytes
by reason, reads and writes zstd with checksums, and starts a second worker from nothing (about a second, once); datatrove
reads and writes plain lines, which it does fastest, keeps a timer and counts for each document, and forks its workers. What
datatrove is given is in data_throughput_datatrove.py.
"""

from __future__ import annotations

import json
import resource
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from itertools import count as numbers
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import incoder_model
from incoder_model.tokenizer import load_tokenizer
from incoder_train.corpus.dedup import COPY, dedup_key, drop_found, find_copies, key_table, of_rank
from incoder_train.corpus.document import Document
from incoder_train.corpus.filters import filter_documents
from incoder_train.corpus.lines import load_table, read_part, save_table, write_part
from incoder_train.corpus.redact import redact_documents
from incoder_train.corpus.runner import Counts, Step, kept_statistics, place, run, writing
from incoder_train.corpus.tally import counted, noting
from incoder_train.tokens.shards import write_shard

SHARDS = 4
TOKENIZER = Path(incoder_model.__file__).parent / "bundled" / "tokenizer.json"
TOKENISED_SHARE = 10  # one document in so many is tokenised: that stage is the slowest by far


# Ours: the stages of corpus/stages.py, from files of documents instead of wheels


def clean_shard(rank: int, world: int, work: Path, *, data: Path, counts: tuple[int, ...]) -> Counts:
    tallies: dict[str, Counts] = {"filter": {}, "redact": {}}
    keys: list[object] = []
    documents = read_part(data / f"{rank}.jsonl.zst", counts[rank])
    documents = counted(filter_documents(documents), tallies["filter"])
    documents = counted(redact_documents(documents), tallies["redact"])
    documents = noting(documents, lambda ordinal, document: keys.append(dedup_key(document)))
    with writing(place(work, "clean", rank, ".jsonl.zst")) as temporary:
        tallies["documents"] = {str(rank): write_part(temporary, documents, level=1)}
    with writing(place(work, "clean", rank, ".npy")) as temporary:
        save_table(temporary, key_table(keys))
    return tallies


def find_shard(rank: int, world: int, work: Path) -> Counts:
    equals = find_copies([load_table(place(work, "clean", task, ".npy")) for task in range(SHARDS)], rank, world)
    with writing(place(work, "find", rank, ".npy")) as temporary:
        save_table(temporary, equals)
    return {}


def drop_shard(rank: int, world: int, work: Path) -> Counts:
    equals = of_rank(load_table(place(work, "find", 0, ".npy")), rank)
    copies = {int(row["ordinal"]): COPY for row in equals if not row["copies"]}
    count = kept_statistics(work, "clean", rank)["documents"][str(rank)]
    documents = read_part(place(work, "clean", rank, ".jsonl.zst"), count)
    tally: Counts = {}
    with writing(place(work, "drop", rank, ".jsonl.zst")) as temporary:
        return {"kept": write_part(temporary, counted(drop_found(documents, copies), tally), level=1), "drop": tally}


def our_pipeline(data: Path, work: Path, workers: int, counts: tuple[int, ...]) -> list[Path]:
    ranks = tuple(map(str, range(SHARDS)))
    steps = (
        Step("clean", partial(clean_shard, data=data, counts=counts), ranks),
        Step("find", find_shard, ("0",)),
        Step("drop", drop_shard, ranks),
    )
    run(steps, work, workers=workers, progress=lambda step, done, world: None)
    return [place(work, "drop", rank, ".jsonl.zst") for rank in range(SHARDS)]


# Measuring


def collect(folders: list[Path], megabytes: float) -> list[Document]:
    """Python files in an order that the hash of their paths gives, up to so many megabytes; every tenth twice."""
    paths = {path for folder in folders for path in folder.rglob("*.py") if path.is_file()}
    documents, budget = [], megabytes * 1e6
    for path in sorted(paths, key=lambda path: sha256(str(path).encode()).digest()):
        text = path.read_text(encoding="utf-8", errors="replace")
        for copy in range(2 if len(documents) % 10 == 0 else 1):
            name = f"{copy}/{path.as_posix().lstrip('/')}"
            documents.append(Document(text, name, path.name, ".py", f"archive{len(documents) % 7}", "MIT"))
            budget -= len(text.encode())
        if budget < 0:
            break
    return documents


def read_all(path: Path) -> Iterable[Document]:
    return read_part(
        path, json.loads(path.with_name(path.name.split(".")[0] + ".done.json").read_bytes())["statistics"]["kept"]
    )


def exhaust(stage: Iterable[object]) -> None:
    for _ in stage:
        pass


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


Job = Callable[[], object]


def measure(jobs: dict[str, Job], rounds: int) -> dict[str, tuple[float, float]]:
    """The least (processor seconds, wall seconds) of each job; the jobs take turns."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for name, job in jobs.items():
            processor, wall = processor_seconds(), time.perf_counter()
            job()
            found = (processor_seconds() - processor, time.perf_counter() - wall)
            best[name] = tuple(map(min, found, best.get(name, found)))  # pyright: ignore[reportArgumentType]
    return best


def write_shards(documents: list[Document], data: Path) -> tuple[int, ...]:
    """The documents as data/RANK.jsonl.zst for us and data/RANK.jsonl for datatrove; returns how many are in each."""
    counts = []
    for rank in range(SHARDS):
        counts.append(write_part(data / f"{rank}.jsonl.zst", documents[rank::SHARDS], level=1))
        with (data / f"{rank}.jsonl").open("w", encoding="utf-8") as file:
            for index, document in enumerate(documents[rank::SHARDS]):
                file.write(json.dumps({"id": str(index), **vars(document)}, ensure_ascii=False) + "\n")
    return tuple(counts)


def our_stages(documents: list[Document], data: Path, counts: tuple[int, ...], work: Path) -> dict[str, Job]:
    tokenised = [(document.text, None) for document in documents[::TOKENISED_SHARE]]
    tokenizer = load_tokenizer(TOKENIZER)
    return {
        "read": lambda: [exhaust(read_part(data / f"{rank}.jsonl.zst", count)) for rank, count in enumerate(counts)],
        "filter": lambda: exhaust(filter_documents(documents)),
        "redact": lambda: exhaust(redact_documents(documents)),
        "key and partition": lambda: find_copies([key_table(map(dedup_key, documents))], 0, 1),
        "tokenise": lambda: write_shard(work / "shard", tokenised, tokenizer),
    }


def compare(
    ours: dict[str, Job], theirs: dict[str, Job], sizes: dict[str, float], rounds: int
) -> list[dict[str, object]]:
    """A row for each job of datatrove's, with MB/s of both; "redact, ..." is compared with our "redact"."""
    rows = []
    for name, job in theirs.items():
        our_name = name.split(",")[0]
        best = measure({"ours": ours[our_name], "datatrove": job}, rounds)
        megabytes = sizes.get(our_name, sizes["all"])
        per_core = {side: megabytes / processor for side, (processor, _) in best.items()}
        wall = {side: megabytes / seconds for side, (_, seconds) in best.items()}
        rows.append(
            {"name": name, "per_core": per_core, "wall": wall, "ratio": per_core["ours"] / per_core["datatrove"]}
        )
    return rows


def show(console: Console, title: str, rows: list[dict[str, object]]) -> None:
    table = Table("", "ours", "datatrove", "ratio", "ours, wall", "datatrove, wall", title=title)
    for row in rows:
        per_core, wall = row["per_core"], row["wall"]
        figures = [f"{per_core[side]:,.1f}" for side in ("ours", "datatrove")] + [f"{row['ratio']:.2f}x"]  # pyright: ignore
        table.add_row(str(row["name"]), *figures, *(f"{wall[side]:,.1f}" for side in ("ours", "datatrove")))  # pyright: ignore
    console.print(table)


def main(
    folder: Annotated[
        list[Path] | None, typer.Option(help="By default the running Python's own and its packages.")
    ] = None,
    megabytes: Annotated[float, typer.Option(help="How much text to take.")] = 100.0,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    json_out: Annotated[Path | None, typer.Option("--json", help="A file for the figures.")] = None,
) -> None:
    import data_throughput_datatrove as datatrove_side  # here: our workers import this module, and need no datatrove

    console = Console()
    folders = folder or [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    documents = collect(folders, megabytes)
    total = sum(len(document.text.encode()) for document in documents) / 1e6
    some = sum(len(document.text.encode()) for document in documents[::TOKENISED_SHARE]) / 1e6
    console.print(f"{len(documents):,} files, {total:.1f} MB of text")
    with tempfile.TemporaryDirectory() as folder_name:
        data, work = Path(folder_name) / "data", Path(folder_name) / "work"
        data.mkdir()
        counts = write_shards(documents, data)
        theirs = datatrove_side.stages(documents, data, work, TOKENIZER, TOKENISED_SHARE)
        ours = our_stages(documents, data, counts, work)
        stage_rows = compare(ours, theirs, {"all": total, "tokenise": some}, rounds)
        show(console, "MB of text per second of processor time", stage_rows)

        fresh = (work / f"pipeline-{number}" for number in numbers())
        our_parts = our_pipeline(data, next(fresh), 1, counts)
        kept = Counter(dedup_key(document) for path in our_parts for document in read_all(path))
        for patterns in datatrove_side.ADDRESSES:
            their_parts = datatrove_side.pipeline(data, next(fresh), 1, SHARDS, patterns)
            same = Counter(dedup_key(document) for document in datatrove_side.read(their_parts)) == kept
            console.print(f"datatrove with {patterns}: the same documents kept: {same}")
            if not same and patterns == "the same pattern":
                raise SystemExit("the two sides do not keep the same documents")
        ours, theirs = {}, {}
        for workers, label in ((1, "1 worker"), (2, "2 workers")):
            ours[label] = lambda workers=workers: our_pipeline(data, next(fresh), workers, counts)
            for patterns in datatrove_side.ADDRESSES:
                job = partial(datatrove_side.pipeline, data, workers=workers, shards=SHARDS, addresses=patterns)
                theirs[f"{label}, {patterns}"] = lambda job=job: job(work=next(fresh))
        pipeline_rows = compare(ours, theirs, {"all": total}, rounds)
        show(console, "filter, redact and deduplicate, lines to lines", pipeline_rows)
    if json_out:
        figures = {"files": len(documents), "megabytes": total, "stages": stage_rows, "pipelines": pipeline_rows}
        json_out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
