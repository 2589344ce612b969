"""What a run begins with, and goes on from: data that fit together; weights that are fresh, another model's, or those of its
last checkpoint; how far it has come. `begin` collects all of it, `save` is its inverse.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from incoder_model.checkpoint import BUNDLED, ModelDirectoryError, load_transformer, model_files
from incoder_model.config import ModelConfig
from incoder_model.tokenizer import Tokenizer, TokenizerError, load_tokenizer
from incoder_model.transformer import initial_weight
from incoder_train.errors import UserError
from incoder_train.tokens.batches import LoaderState, Samples
from incoder_train.tokens.shards import open_shard, tokenizer_hash
from incoder_train.training.checkpoints import (
    Saver,
    find_checkpoints,
    folder_of,
    load_tensors,
    newest_whole,
    read_state,
    tensors_of,
)
from incoder_train.training.guard import Guard, LossScale
from incoder_train.training.hardware import capability
from incoder_train.training.optimiser import make_optimisers
from incoder_train.training.parallel import World, place
from incoder_train.training.precision import DTYPES, choose_precision
from incoder_train.training.recipe import Recipe
from incoder_train.training.update import Trainee

RECIPE = "recipe.json"
WeightOf = Callable[[str, torch.Size], Tensor]


@dataclass
class Count:
    """How far a run has come."""

    step: int = 0
    samples_seen: int = 0
    tokens_seen: int = 0
    seconds: float = 0.0  # of training, before and after resumes
    skipped: int = 0  # updates that were not made
    skipped_in_a_row: int = 0

    def add(self, samples: int, tokens: int, seconds: float, *, skipped: bool) -> None:
        self.step += 1
        self.samples_seen += samples
        self.tokens_seen += tokens
        self.seconds += seconds
        self.skipped += skipped
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if skipped else 0


@dataclass(frozen=True)
class Data:
    tokenizer: Tokenizer
    training: Samples
    validation: Samples
    bytes_per_token: float  # of the validation text; 0 when its shards do not say


@dataclass(frozen=True)
class Begun:
    """A run that can go on."""

    recipe: Recipe
    world: World
    data: Data
    config: ModelConfig
    precision: str
    trainee: Trainee
    count: Count


def begin(recipe: Recipe, out: Path, world: World, *, resume: bool) -> Begun:
    """A new run in the folder `out`, or the one that is there. Raises UserError when that cannot be."""
    data = open_data(recipe)
    if recipe.run.batch_size % world.size:
        raise UserError(
            f"[run] batch_size is {recipe.run.batch_size}, which {world.size} processes cannot share evenly; "
            f"make it a multiple of {world.size}"
        )
    config, weight_of = first_weights(recipe, data.tokenizer)
    folder = find_run(recipe, out, world, resume=resume)
    saved = read_state(folder) if folder else {}
    precision = agree_on_precision(recipe, saved.get("precision"), world)
    if recipe.machine.compile:
        capability(world.device).require("compile_ok")
    replica = place(config, world, recipe.machine, DTYPES[precision], weight_of)
    torch.manual_seed(recipe.run.seed + world.rank)  # dropout differs from process to process
    trainee = Trainee(
        replica,
        make_optimisers(replica.parameters, recipe.optimiser, DTYPES[precision]),
        Guard(recipe.optimiser.skip_sigma),
        LossScale() if precision == "fp16" else None,
    )
    count = Count()
    if folder:
        data.training.check(LoaderState.from_dict(saved["data"]))
        load_tensors(folder, replica, trainee.optimisers, world)
        count = Count(**saved["count"])
        trainee.guard.restore(saved["guard"])
        if trainee.scale is not None and saved["scale"]:
            trainee.scale = LossScale(**saved["scale"])
    return Begun(recipe, world, data, config, precision, trainee, count)


def save(begun: Begun, saver: Saver, *, export: bool) -> Path:
    """A checkpoint of the run as it stands; with `export` it is a model directory, too."""
    trainee, count, world = begun.trainee, begun.count, begun.world
    state = {
        "count": asdict(count),
        "data": begun.data.training.state(count.samples_seen).to_dict(),
        "guard": trainee.guard.to_dict(),
        "scale": asdict(trainee.scale) if trainee.scale else None,
        "precision": begun.precision,
        "processes": world.size,
    }
    files = {}
    if export:
        weights = {name: trainee.replica.whole(name) for name in trainee.replica.parameters}
        files = model_files(begun.config, weights, begun.data.tokenizer) if world.first else {}
    return saver.save(count.step, tensors_of(trainee.replica, trainee.optimisers, world), state, files)


def find_run(recipe: Recipe, out: Path, world: World, *, resume: bool) -> Path | None:
    """The checkpoint to go on from, the same in every process; None for a run that begins. The first process looks.

    Raises UserError in all of them when the folder holds another run, or a run that was not to be resumed."""
    step, wrong = -1.0, None
    if world.first:
        try:
            folder = _look_for_run(recipe, out, resume=resume)
            step = float(folder.name.removeprefix("step-")) if folder else step
        except UserError as error:
            step, wrong = -2.0, error
    step = world.gather(step)[0].item()
    if step == -2:
        raise wrong or UserError(f"the run in {out} cannot go on; the first process says why")
    return folder_of(out, int(step)) if step >= 0 else None


def _look_for_run(recipe: Recipe, out: Path, *, resume: bool) -> Path | None:
    kept = out / RECIPE
    if not find_checkpoints(out):
        out.mkdir(parents=True, exist_ok=True)  # new, or killed before its first checkpoint
        kept.write_text(recipe.to_json(), encoding="utf-8")
        return None
    if not resume:
        raise UserError(f"{out} holds a run already; add --resume to go on with it, or name another folder with --out")
    if not kept.exists() or not same_run(kept.read_text(encoding="utf-8"), recipe.to_json()):
        raise UserError(
            f"{out} was started with another recipe (see its recipe.json); resume with that one, or name another folder"
        )
    return newest_whole(out, print)


def same_run(one: str, other: str) -> bool:
    """Whether two recipes as JSON differ at most in the machine: a run may go on elsewhere."""
    try:
        a, b = json.loads(one), json.loads(other)
        return {**a, "machine": None} == {**b, "machine": None}
    except (ValueError, TypeError):
        return False


def agree_on_precision(recipe: Recipe, before: str | None, world: World) -> str:
    """What the recipe says; if that is "auto", what the run had until now, or what the first process finds fastest."""
    wanted = recipe.machine.precision
    if wanted == "auto" and before is not None:
        wanted = before
    names = list(DTYPES)
    mine = names.index(choose_precision(wanted, world.device))
    return names[int(world.gather(mine)[0].item())]


def open_data(recipe: Recipe) -> Data:
    """Raises UserError when a part is missing or does not fit the others."""
    try:
        tokenizer = load_tokenizer(recipe.data.tokenizer)
    except TokenizerError as error:
        raise UserError(f"recipe {recipe.name}: {error}") from None
    training, validation = (
        _samples(recipe, folder, tokenizer) for folder in (recipe.data.train, recipe.data.validation)
    )
    shard = open_shard(recipe.data.validation)
    return Data(tokenizer, training, validation, shard.size / max(1, len(shard.tokens)))


def first_weights(recipe: Recipe, tokenizer: Tokenizer) -> tuple[ModelConfig, WeightOf]:
    """The shape of the model, and where its weights come from. Every process finds the same, however many there are: a fresh
    parameter is a function of the seed and its name.

    Raises UserError when the model to start from cannot be used."""
    if recipe.init is None:
        config = recipe.model_config(tokenizer.vocab_size)

        def fresh(name: str, shape: torch.Size) -> Tensor:
            digest = hashlib.sha256(f"{recipe.run.seed} {name}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))
            return initial_weight(name, shape, config, generator)

        return config, fresh
    directory = BUNDLED if recipe.init == "bundled" else Path(recipe.init)
    try:
        model, known = load_transformer(directory)
    except ModelDirectoryError as error:
        raise UserError(f"recipe {recipe.name}: init: {error}") from None
    if tokenizer_hash(known) != tokenizer_hash(tokenizer):
        raise UserError(
            f"recipe {recipe.name}: {directory} has another tokenizer than {recipe.data.tokenizer}; "
            "tokenise the data with the model's own"
        )
    # No position is learned, so another context than the model had is no obstacle.
    region = model.config.region or recipe.data.mostly_region
    config = dataclasses.replace(model.config, context=recipe.data.context, region=region)
    weights = model.state_dict()
    return config, lambda name, shape: weights[name]


def _samples(recipe: Recipe, folder: Path, tokenizer: Tokenizer) -> Samples:
    shard = open_shard(folder)
    if shard.tokenizer_sha256 != tokenizer_hash(tokenizer):
        raise UserError(f"{folder} was made with another tokenizer than {recipe.data.tokenizer}; make the shard again")
    return Samples(
        shard,
        tokenizer,
        context=recipe.data.context,
        batch_size=recipe.run.batch_size,
        seed=recipe.run.seed,
        spans=recipe.data.spans,
        editor_share=recipe.data.editor_share,
        editor=recipe.data.editor,
        rows=recipe.data.rows,
        shrink=folder == recipe.data.validation,
    )
