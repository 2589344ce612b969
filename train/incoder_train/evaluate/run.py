"""One task by one method: cases, in batches, become answers and scores, and at the end a result. With a file to write, every
finished batch is kept beside it (`journal`), so that a run which was stopped, even by kill -9, goes on where it was."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incoder_model.checkpoint import BUNDLED, WEIGHTS, ModelDirectoryError, read_config
from incoder_train.errors import UserError
from incoder_train.evaluate.case import RETRIEVAL, Answer, Case, Scores, Settings, Task
from incoder_train.evaluate.journal import Fingerprint, Journal, read_result, write_result

if TYPE_CHECKING:
    from incoder_model.batch import Generator

Progress = Callable[[int, int], None]  # cases done, and cases in all
FORMAT = 1  # of the files; to be raised with every change of what a case or its scores mean


@dataclass(frozen=True)
class Result:
    """What became of a run. As JSON it is what `incoder eval --json` writes."""

    task: str
    split: str
    method: str
    model: dict[str, Any] | None  # path, sha256 of the weights, parameters; None: no model was asked
    settings: dict[str, Any]
    fingerprint: Fingerprint
    measures: dict[str, float]
    cases: list[dict[str, Any]]  # id, lang, kind, samples, scores, detail; share_right where the hole is in a solution
    seconds: float  # of asking and scoring


def resolved(task: Task, asked: Settings, split: str | None, method: str | None) -> Settings:
    """`asked` with a split and a method of the task, by default its first ones. Raises UserError when it has no such ones."""
    method = method or task.methods[0]
    require_known(f"method for {task.name}", method, task.methods)
    if asked.cases and not task.takes_cases:
        raise UserError(f"{task.name} has its own cases; leave --cases out")
    if split is not None and (asked.cases or task.splits == ("",)):
        said = "the file of --cases says the kind of each case" if asked.cases else f"{task.name} is not split"
        raise UserError(f"{said}; leave --split out")
    if not asked.cases:
        split = task.splits[0] if split is None else split
        require_known(f"split of {task.name}", split, task.splits)
    return replace(asked, task=task.name, split=split or "", method=method)


def run(
    task: Task, settings: Settings, out: Path | None = None, progress: Progress = lambda done, total: None
) -> Result:
    """Raises UserError when the settings, the data or the model cannot be used, or `out` holds another run."""
    model = describe_model(settings.model or BUNDLED) if settings.method != RETRIEVAL else None
    cases = subset(task.cases(settings), settings.limit, settings.seed)
    if not cases:
        raise UserError(f"{task.name} has no cases to ask; choose another --split or --cases")
    fingerprint = fingerprint_of(settings, model, cases)
    if out and (finished := read_result(out, fingerprint)):
        return Result(**finished)
    with Journal(out, fingerprint) as journal:
        for start in range(0, len(cases), settings.batch):
            if start >= journal.cases:
                journal.append(ask(task, cases[start : start + settings.batch], settings))
            progress(min(start + settings.batch, len(cases)), len(cases))
        records = [record for batch in journal.batches for record in batch["cases"]]
        result = Result(
            task.name,
            settings.split,
            settings.method,
            model,
            _plain(settings),
            fingerprint,
            task.summary([record["scores"] for record in records]),
            records,
            sum(batch["seconds"] for batch in journal.batches),
        )
    if out:
        write_result(out, asdict(result))
        journal.remove()
    return result


def ask(task: Task, batch: Sequence[Case], settings: Settings) -> dict[str, Any]:
    """What the journal keeps of a batch."""
    started = time.monotonic()
    generator = None if settings.method == RETRIEVAL else load_model(settings.model or BUNDLED)
    answers = task.answer(batch, settings, generator)
    records = [record(case, one, task.score(case, one)) for case, one in zip(batch, answers, strict=True)]
    return {"cases": records, "seconds": time.monotonic() - started}


def record(case: Case, answer: Answer, scores: Scores) -> dict[str, Any]:
    where = {key: case.extra[key] for key in ("share_right",) if key in case.extra}
    about = {"id": case.id, "lang": case.lang, "kind": case.kind, **where}
    return {**about, "samples": answer.samples, "scores": scores, "detail": answer.detail}


def subset(cases: Sequence[Case], limit: int | None, seed: int) -> list[Case]:
    """`limit` of the cases, drawn with the seed, in their order: the same ones for every method."""
    if limit is None or limit >= len(cases):
        return list(cases)
    return [cases[i] for i in sorted(random.Random(seed).sample(range(len(cases)), limit))]


@lru_cache(maxsize=1)  # the runs of a group ask the same model
def load_model(directory: Path) -> Generator:
    from incoder_model.batch import load_generator

    try:
        return load_generator(directory)
    except ModelDirectoryError as error:
        raise UserError(str(error)) from None


def describe_model(directory: Path) -> dict[str, Any]:
    """Without opening it: {path, sha256 of the weights, parameters}. Raises UserError when it is no model directory."""
    try:
        parameters = read_config(directory).parameters
        with (directory / WEIGHTS).open("rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except ModelDirectoryError as error:
        raise UserError(str(error)) from None
    except FileNotFoundError:
        raise UserError(f"{directory} has no {WEIGHTS}; copy the whole model directory again") from None
    return {"path": str(directory), "sha256": digest.hexdigest(), "parameters": parameters}


def fingerprint_of(settings: Settings, model: dict[str, Any] | None, cases: Sequence[Case]) -> Fingerprint:
    """What decides a result; where files lie does not. Two runs with one fingerprint may be joined."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(repr((case.id, case.left, case.right, case.answer, case.header, case.limits)).encode())
    asked = {key: value for key, value in asdict(settings).items() if key not in ("model", "benchmarks", "cases")}
    sha256 = model["sha256"] if model else None
    return {"format": FORMAT, **asked, "model's sha256": sha256, "cases' sha256": digest.hexdigest()}


def _plain(settings: Settings) -> dict[str, Any]:
    """What JSON can hold of the settings, and a result does not say elsewhere."""
    asked = {key: value for key, value in asdict(settings).items() if key not in ("task", "split", "method", "model")}
    return {key: str(value) if isinstance(value, Path) else value for key, value in asked.items()}


def require_known(what: str, name: str, known: Sequence[str]) -> None:
    """Raises UserError unless `name` is one of `known`."""
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise UserError(f"there is no {what} {name!r}; the nearest is {near!r}, and there are {', '.join(known)}")
