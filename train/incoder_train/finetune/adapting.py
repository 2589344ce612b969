"""Fine-tuning from end to end: the folder of a repository and a model go in, a run's folder comes out, and in it a model that
can be served, if it fills the held-out lines better than the one it began as.

    out/data/               what is learned from and what is held out, as shards; the cases to judge by; what was left out
    out/recipe.json, ...    a run like any other (`training.loop`)
    out/judgement.json      the figures before and after
    out/model/              only after an improvement: the model, with the judgement

A run that was stopped goes on with the data it has, whatever has happened to the repository since.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rich.progress import track

from incoder_model.checkpoint import (
    BUNDLED,
    TOKENIZER,
    ModelDirectoryError,
    load_transformer,
    read_config,
    read_tokenizer,
    save_model,
)
from incoder_model.config import ModelConfig
from incoder_model.loading import load_model
from incoder_model.tokenizer import Tokenizer
from incoder_train.errors import UserError
from incoder_train.finetune.judging import Case, Score, Verdict, draw_cases, judge, score, table_rows
from incoder_train.finetune.repository import read_repository, told
from incoder_train.tokens.blocks import cut_blocks
from incoder_train.tokens.shards import attributed, open_shard, write_shard
from incoder_train.training.checkpoints import find_checkpoints
from incoder_train.training.loop import train
from incoder_train.training.precision import choose_device
from incoder_train.training.recipe import Recipe, read_recipe, shipped

SHIPPED = shipped()["finetune-repo"]
DATA, ORIGIN, CASES, JUDGEMENT, MODEL = "data", "repository.json", "cases.json", "judgement.json", "model"
UNFINISHED = f".{DATA}.unfinished"
FEWEST_CASES = 20  # fewer lines say nothing
REGIONS = 0.75  # of an editor's samples, for a model that is asked so
PASSES = 6  # over the repository, at most: a small one would be learned by heart
BATCHES_A_PASS = 8  # at least: a small repository gets smaller batches rather than a handful of updates

Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    data: Path  # the repository
    out: Path
    init: str | None = None  # a model directory, or "bundled"; by default what the recipe says
    recipe: Path = SHIPPED
    minutes: float | None = None  # of training; by default the recipe's
    cases: int = 200  # to judge by, at most
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class Outcome:
    cases: int
    rows: list[tuple[str, str, str]]  # what, before, after
    verdict: Verdict
    model: Path | None  # None: not improved, so not offered


def finetune(asked: Asked, *, resume: bool = False, say: Say = print) -> Outcome:
    """Raises UserError when the repository, the model or the folder cannot be used, and Stopped when a signal ended it."""
    recipe = read_recipe(asked.recipe)
    init = asked.init or recipe.init or "bundled"
    minutes = recipe.run.minutes if asked.minutes is None else asked.minutes
    recipe = replace(
        recipe,
        init=init,
        run=replace(recipe.run, minutes=minutes),
        machine=replace(recipe.machine, device=asked.device),
    )
    choose_device(recipe.machine.device)
    directory = BUNDLED if init == "bundled" else Path(init)
    try:
        config = read_config(directory)
        tokenizer = read_tokenizer(directory, config)
    except ModelDirectoryError as error:
        raise UserError(f"--init: {error}") from None

    if not has_data(asked, resume=resume):
        prepare(asked, tokenizer, config.context, say)
    cases = [Case(**values) for values in kept(asked.out / DATA / CASES)]
    checkpoint = train(fitted(recipe, asked.out / DATA, config), asked.out, resume=resume)
    before, after = (scores(path, cases, what) for path, what in ((directory, "before"), (checkpoint, "after")))
    return conclude(asked.out, checkpoint, cases, before, after)


def has_data(asked: Asked, *, resume: bool) -> bool:
    """Whether the folder holds this run's data. Raises UserError when it holds something else."""
    origin, out = asked.out / DATA / ORIGIN, asked.out
    if not origin.exists():
        if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= {".gitignore", UNFINISHED}):
            raise UserError(f"{out} holds other things than a fine-tuning; name another folder with --out")
        return False
    if not resume:
        if find_checkpoints(out):
            raise UserError(
                f"{out} holds a fine-tuning already; add --resume to go on with it, or name another folder with --out"
            )
        return False
    was = kept(origin)["root"]
    if was != str(asked.data.resolve()):
        raise UserError(f"{out} was started for {was}; resume with that as --data, or name another folder with --out")
    return True


def prepare(asked: Asked, tokenizer: Tokenizer, context: int, say: Say) -> None:
    """Reads the repository into `out`/data, whole or not at all. The header stands in front of each file, as an editor
    gives it."""
    repository = read_repository(asked.data)
    cases = draw_cases(repository.held_out, repository.training, asked.cases)
    if len(cases) < FEWEST_CASES:
        raise UserError(
            f"{asked.data} has too little source code: only {len(cases)} lines to judge a model by, {FEWEST_CASES} are needed"
        )
    origin = {
        "root": str(asked.data.resolve()),
        "learned": [document.path for document in repository.training],
        "held_out": [document.path for document in repository.held_out],
        "left_out": repository.left_out,
    }
    contents = {
        TOKENIZER: tokenizer.to_json(),
        CASES: as_json([asdict(case) for case in cases]),
        ORIGIN: as_json(origin),
    }
    say(
        f"{repository.name}: {len(repository.training)} files to learn from, {len(repository.held_out)} held out"
        + (f"; left out: {told(repository.left_out)}" if repository.left_out else "")
    )
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / ".gitignore").write_text("*\n", encoding="utf-8")  # private code and weights that have read it
    unfinished = asked.out / UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for name, documents in (("train", repository.training), ("validation", repository.held_out)):
            write_shard(unfinished / name, map(attributed, documents), tokenizer, front_probability=1.0)
        if not len(cut_blocks(open_shard(unfinished / "train").offsets, context)):
            raise UserError(f"{asked.data} has too little source code to learn from; its files are too short")
        for name, content in contents.items():
            (unfinished / name).write_text(content, encoding="utf-8")
        shutil.rmtree(asked.out / DATA, ignore_errors=True)
        unfinished.rename(asked.out / DATA)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def fitted(recipe: Recipe, data: Path, config: ModelConfig) -> Recipe:
    """`recipe` on the prepared data, for a model that is asked as `config` says; its batch and its steps as the size of the
    repository allows."""
    blocks = len(cut_blocks(open_shard(data / "train").offsets, config.context))
    batch = max(1, min(recipe.run.batch_size, blocks // BATCHES_A_PASS))
    steps = PASSES * (blocks // batch)
    return replace(
        recipe,
        data=replace(
            recipe.data,
            train=data / "train",
            validation=data / "validation",
            tokenizer=data / TOKENIZER,
            context=config.context,
            editor=replace(recipe.data.editor, region=REGIONS if config.region else 0.0),
        ),
        optimiser=replace(recipe.optimiser, warmup_steps=max(1, min(recipe.optimiser.warmup_steps, steps // 10))),
        run=replace(recipe.run, batch_size=batch, steps=min(steps, recipe.run.steps or steps)),
    )


def scores(directory: Path, cases: Sequence[Case], what: str) -> list[Score]:
    model = load_model(directory)
    return [score(model, case) for case in track(cases, f"held-out lines {what}")]


def conclude(
    out: Path, checkpoint: Path, cases: Sequence[Case], before: Sequence[Score], after: Sequence[Score]
) -> Outcome:
    """Writes the judgement and, after an improvement, the model."""
    verdict = judge(cases, before, after)
    rows = table_rows(cases, before, after)
    judgement = {
        "improved": verdict.improved,
        **asdict(verdict),
        "cases": len(cases),
        "table": rows,
        "checkpoint": checkpoint.name,
    }
    content = as_json(judgement)
    (out / JUDGEMENT).write_text(content, encoding="utf-8")
    if not verdict.improved:
        shutil.rmtree(out / MODEL, ignore_errors=True)
        return Outcome(len(cases), rows, verdict, None)
    save_model(out / MODEL, *load_transformer(checkpoint), extra={JUDGEMENT: content.encode()}, graph=True)
    return Outcome(len(cases), rows, verdict, out / MODEL)


def kept(path: Path) -> Any:
    """What `prepare` wrote as JSON."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); start again in another folder") from None


def as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
