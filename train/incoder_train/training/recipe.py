"""A training run as a TOML file: every choice has a type, a default and a reason, and an unknown key is an error.

The recipe that was really used, defaults filled in, is saved with its run.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from incoder_model.causal_mask import SpanDistribution
from incoder_model.config import PRESETS, ModelConfig
from incoder_train.errors import UserError
from incoder_train.tokens.blocks import SHORTEST
from incoder_train.tokens.spans import EditorSpans

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

# What a run has at least one of.
COUNTS = (
    "steps",
    "batch_size",
    "log_every",
    "validate_every",
    "validation_batches",
    "checkpoint_every",
    "keep_checkpoints",
)


@dataclass(frozen=True)
class Data:
    train: Path  # a folder that `incoder data shard` made
    validation: Path
    tokenizer: Path
    context: int = 512  # tokens in a training sequence; also the context of the finished model
    # A block of a document in each row, as InCoder; or several, kept apart; or one behind a piece of a file of its package.
    rows: Literal["blocks", "packed", "neighbours"] = "blocks"
    editor_share: float = 0.0  # of the samples, masked as an editor would ask; the rest as in the paper
    editor: EditorSpans = field(default_factory=EditorSpans)  # what an editor asks for, and how often
    spans: SpanDistribution = field(default_factory=SpanDistribution)

    @property
    def mostly_region(self) -> bool:
        """As a model was trained, so it is asked."""
        return self.editor_share * self.editor.region >= 0.5


@dataclass(frozen=True)
class Optimiser:
    kind: Literal["adamw", "muon"] = "adamw"  # the paper's Adam, or Muon for the matrices of the blocks
    lr: float = 1e-3  # at its peak
    betas: tuple[float, float] = (0.9, 0.98)  # paper section 4
    eps: float = 1e-8
    weight_decay: float = 0.01  # on matrices; biases and norms have none
    clip: float = 1.0  # of the gradient's norm, paper section 4
    warmup_steps: int = 1500  # paper section 4
    decay_power: float = 1.0  # polynomial decay to zero
    skip_sigma: float = 6.0  # an update whose loss or gradient lies further from the last ones is skipped; 0 skips none


@dataclass(frozen=True)
class Run:
    batch_size: int = 16  # sequences in one update, over all devices
    steps: int | None = None  # the run ends, and the learning rate reaches zero, at the first of these two
    minutes: float | None = (
        None  # of training, time before a resume included; a run with it is not reproducible to the bit
    )
    seed: int = 1
    log_every: int = 10  # steps
    tensorboard: bool = False  # write its event files, too
    validate_every: int = 250
    validation_batches: int = 8
    checkpoint_every: int = 250
    keep_checkpoints: int = 2
    export: Literal["every", "last"] = "every"  # the checkpoints that are model directories, too, for serving


@dataclass(frozen=True)
class Machine:
    """How a run is laid on its devices. Nothing here changes which samples make an update."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = (
        "auto"  # auto: what is fastest here, found by a short measurement
    )
    micro_batch: int | None = None  # sequences a device works on at a time; by default its whole share of the batch
    shard_group: int | None = (
        None  # devices that share one copy of the weights; by default all; fewer is hybrid sharding
    )
    recompute: Literal["none", "selective", "full"] = "none"  # of the activations, in the backward pass
    compile: bool = False  # each block, by torch.compile, where the device can
    loss_chunk: int = 2048  # tokens whose logits exist at a time


@dataclass(frozen=True)
class Recipe:
    """Raises UserError for a recipe that cannot be run."""

    name: str
    data: Data
    model: str = "small-8m"  # a preset of incoder_model.config
    optimiser: Optimiser = field(default_factory=Optimiser)
    init: str | None = None  # weights to start from: a model directory, or "bundled"
    run: Run = field(default_factory=Run)
    machine: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
        data, optimiser, run, machine = self.data, self.optimiser, self.run, self.machine
        rules = [
            (self.model in PRESETS, f"model {self.model!r} is not one of {', '.join(PRESETS)}"),
            (run.steps is not None or run.minutes is not None, "[run] must say when to end, with steps or minutes"),
            (run.minutes is None or run.minutes > 0, f"[run] minutes is {run.minutes}; it must be more than 0"),
            (run.seed >= 0, f"[run] seed is {run.seed}; it must be at least 0"),
            (data.context >= SHORTEST, f"[data] context is {data.context}; it must be at least {SHORTEST}"),
            (0 <= data.editor_share <= 1, f"[data] editor_share is {data.editor_share}; it must lie between 0 and 1"),
            (
                all(0 <= beta < 1 for beta in optimiser.betas),
                f"[optimiser] betas are {optimiser.betas}; they must lie in [0, 1)",
            ),
            (
                optimiser.weight_decay >= 0,
                f"[optimiser] weight_decay is {optimiser.weight_decay}; it must be at least 0",
            ),
        ]
        rules += [
            (getattr(optimiser, name) > 0, f"[optimiser] {name} is {getattr(optimiser, name)}; it must be more than 0")
            for name in ("lr", "eps", "clip")
        ]
        counts = {name: getattr(run, name) for name in COUNTS}
        rules += [
            (count is None or count >= 1, f"[run] {name} is {count}; it must be at least 1")
            for name, count in counts.items()
        ]
        rules += [
            (optimiser.skip_sigma >= 0, f"[optimiser] skip_sigma is {optimiser.skip_sigma}; it must be at least 0"),
            (machine.loss_chunk >= 1, f"[machine] loss_chunk is {machine.loss_chunk}; it must be at least 1"),
        ]
        for name, value in (("micro_batch", machine.micro_batch), ("shard_group", machine.shard_group)):
            rules.append((value is None or value >= 1, f"[machine] {name} is {value}; it must be at least 1"))
        for holds, wrong in rules:
            if not holds:
                raise UserError(f"recipe {self.name}: {wrong}")

    def model_config(self, vocab_size: int) -> ModelConfig:
        config, region = PRESETS[self.model], self.data.mostly_region
        return dataclasses.replace(config, vocab_size=vocab_size, context=self.data.context, region=region)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, default=str) + "\n"


def read_recipe(path: Path) -> Recipe:
    """A file, or one of those that come along by its name, such as small-cpu. Paths in a recipe are relative to the folder
    one stands in. Raises UserError, naming the file and the key."""
    if not path.exists() and path.name in (ours := shipped()):
        path = ours[path.name]
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"recipe {path} cannot be read: {error.strerror}; give a file, or one of {', '.join(shipped())}"
        ) from None
    except ValueError as error:
        raise UserError(f"recipe {path} is not valid TOML: {error}") from None
    return _build(Recipe, values, str(path))


def shipped() -> dict[str, Path]:
    """The recipes that come along, by name."""
    found = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))
    return {path.stem: path for path in found if not path.stem.endswith(".manifest")}


def _build(kind: type, values: dict[str, Any], where: str) -> Any:
    """A dataclass from a TOML table, its fields checked against their types."""
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            raise UserError(f"{where}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    try:
        return kind(**{key: _convert(hints[key], value, f"{where}: {key}") for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from None


def _convert(hint: Any, value: Any, where: str) -> Any:
    kind = type(value)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _build(typing.cast("type", hint), value, where)
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal and value in options:
        return value
    if origin is tuple and isinstance(value, list) and len(value) == len(options):
        return tuple(_convert(option, item, where) for option, item in zip(options, value, strict=True))
    if origin is types.UnionType:
        hint = options[0]
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and kind is int:
        return float(typing.cast("int", value))
    if kind is hint:
        return value
    wanted = " or ".join(map(repr, options)) if origin is Literal else getattr(hint, "__name__", str(hint))
    raise UserError(f"{where} is {value!r}; it must be {wanted}")
