"""Runs a pipeline on the cores of this machine. Steps and a folder go in; each task's files and statistics come out, the
same bytes whatever the number of workers and however often the run was killed.

The contract, which an executor on other machines can use as well as the pool here:

- A `Step` is one function, cut into `world` tasks that know nothing of each other.
- `step.run(rank, world, work)` reads what earlier steps left below `work`, writes files of its own named
  `place(work, step.name, rank, suffix)`, each through `writing`, and returns statistics that `merge` can add up.
- `perform(step, rank, work)` is one task, once: it returns the kept statistics if the task is finished already with the
  same inputs, otherwise runs it and leaves a completion marker. An executor calls it for every rank from 0 to
  `step.world - 1`, in any order and anywhere that sees `work`, and begins a step when the one before is complete."""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from incoder_train.errors import UserError

UNFINISHED = ".unfinished-"  # before the name of a file that is being written
MARKER = ".done.json"  # inputs, files with their sizes, statistics

Counts = dict[str, Any]  # numbers, lists, and such dictionaries
Progress = Callable[[str, int, int], None]  # the name of a step, how many of its tasks are done, how many there are


@dataclass(frozen=True)
class Step:
    """One stage of a pipeline. `run` must be picklable: a function of a module, or a `functools.partial` of one."""

    name: str
    run: Callable[[int, int, Path], Counts]  # (rank, world, work) -> statistics
    inputs: tuple[str, ...]  # of each task: a fingerprint of all that its files depend on

    @property
    def world(self) -> int:
        return len(self.inputs)


def fingerprint(*inputs: object) -> str:
    """A hash of anything that JSON can say."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def place(work: Path, step: str, rank: int, suffix: str) -> Path:
    return work / step / f"{rank:06}{suffix}"


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to; the file gets its name when it is whole and on the disk, or never."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename is None:  # a write that failed does not say where
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def perform(step: Step, rank: int, work: Path) -> Counts:
    """The statistics of one task, which is run unless it is finished. Raises what the step's function raises."""
    if (kept := finished(step, rank, work)) is not None:
        return kept
    marker = place(work, step.name, rank, MARKER)
    marker.unlink(missing_ok=True)
    statistics = step.run(rank, step.world, work)
    files = {path.name: path.stat().st_size for path in sorted(marker.parent.glob(f"{rank:06}.*"))}
    content = {"inputs": step.inputs[rank], "files": files, "statistics": statistics}
    with writing(marker) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return json.loads(json.dumps(statistics))


def finished(step: Step, rank: int, work: Path) -> Counts | None:
    """The statistics of a task that is finished: same inputs, and every file there in its full size."""
    marker = place(work, step.name, rank, MARKER)
    try:
        content = json.loads(marker.read_bytes())
        whole = all((marker.parent / name).stat().st_size == size for name, size in content["files"].items())
    except (FileNotFoundError, ValueError, LookupError):
        return None
    return content["statistics"] if whole and content["inputs"] == step.inputs[rank] else None


def kept_statistics(work: Path, step: str, rank: int) -> Counts:
    """What a finished task of an earlier step left."""
    return json.loads(place(work, step, rank, MARKER).read_bytes())["statistics"]


def run(steps: Sequence[Step], work: Path, *, workers: int, progress: Progress) -> list[list[Counts]]:
    """The statistics of each step's tasks, by rank. The tasks of a step run on up to `workers` processes (here, if one);
    finished ones are skipped. Raises UserError if a worker is killed, or what the first failing task raises; finished
    tasks are kept for the next run."""
    for left in work.glob(f"*/{UNFINISHED}*"):
        left.unlink(missing_ok=True)
    everything = []
    with _performer(steps, work, workers) as performed:
        for index, step in enumerate(steps):
            found = {rank: kept for rank in range(step.world) if (kept := finished(step, rank, work)) is not None}
            progress(step.name, len(found), step.world)
            missing = [rank for rank in range(step.world) if rank not in found]
            for rank, statistics in performed(index, missing):
                found[rank] = statistics
                progress(step.name, len(found), step.world)
            everything.append([found[rank] for rank in range(step.world)])
    return everything


def merge(statistics: Iterable[Counts]) -> Counts:
    """Adds numbers, joins lists, and does the same in dictionaries, in the order given."""
    total: Counts = {}
    for counts in statistics:
        for key, value in counts.items():
            if key not in total:
                total[key] = merge([value]) if isinstance(value, dict) else value
            else:
                total[key] = merge([total[key], value]) if isinstance(value, dict) else total[key] + value
    return total


Performed = Callable[[int, list[int]], Iterator[tuple[int, Counts]]]  # (step, ranks) -> ranks as they finish


@contextmanager
def _performer(steps: Sequence[Step], work: Path, workers: int) -> Iterator[Performed]:
    if workers == 1:
        yield lambda index, ranks: ((rank, perform(steps[index], rank, work)) for rank in ranks)
        return
    # Spawned, not forked: a worker shares no lock and no open file with whatever else this process does.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin_worker, (steps, work))

    def performed(index: int, ranks: list[int]) -> Iterator[tuple[int, Counts]]:
        futures = {pool.submit(_perform_here, index, rank): rank for rank in ranks}
        for future in as_completed(futures):
            yield futures[future], future.result()

    try:
        yield performed
    except BrokenProcessPool:
        raise UserError(
            "A worker was killed, perhaps for want of memory; run the same command again, with fewer --workers: "
            "what is finished is kept."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_HERE: list[tuple[Sequence[Step], Path]] = []  # in a worker: what it works on, sent once and not with every task


def _begin_worker(steps: Sequence[Step], work: Path) -> None:
    _HERE.append((steps, work))
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all: a worker ends without a word
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os._exit(1)


def _perform_here(index: int, rank: int) -> Counts:
    steps, work = _HERE[0]
    return perform(steps[index], rank, work)
