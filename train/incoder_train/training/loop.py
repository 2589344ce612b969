"""The training loop: a recipe goes in; checkpoints, metrics and a loss curve come out of its run folder.

    run/recipe.json           the recipe with its defaults filled in
    run/metrics.jsonl         one line every `log_every` steps and at every validation
    run/loss.png              the curve, redrawn at every checkpoint
    run/step-00000250/        a checkpoint, which is a model directory with the optimiser's state beside the weights

A run that was killed goes on from its last checkpoint with `resume`, and ends with the weights it would have had anyway,
bit for bit: the checkpoint holds the step, the samples seen, the optimiser and the random state; the rest is a function of
the recipe and the step.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor

from incoder_model.checkpoint import ModelDirectoryError, load_transformer, save_model
from incoder_model.tokenizer import Tokenizer, TokenizerError, load_tokenizer
from incoder_model.transformer import Transformer, initialise
from incoder_train.errors import UserError
from incoder_train.tokens.batches import Batch, Samples
from incoder_train.tokens.shards import open_shard, tokenizer_hash
from incoder_train.training.curve import draw_curve
from incoder_train.training.metrics import Metrics
from incoder_train.training.optimiser import make_optimisers
from incoder_train.training.progress import Progress
from incoder_train.training.recipe import Recipe

STATE, OPTIMISER = "state.json", "optimiser.safetensors"


@dataclass
class State:
    """Where a run stands: all that a resume needs beside weights and optimiser."""

    step: int = 0
    samples_seen: int = 0
    tokens_seen: int = 0
    seconds: float = 0.0  # of training, before and after resumes


def train(recipe: Recipe, out: Path, *, resume: bool = False) -> Path:
    """Run `recipe` in the folder `out`; returns the last checkpoint. Raises UserError when the run cannot start or go on."""
    keep_freed_memory()
    tokenizer, training, validation = _open_data(recipe)
    device = _device(recipe.machine.device)
    torch.manual_seed(recipe.run.seed)
    model = initialise(Transformer(recipe.model_config(tokenizer.vocab_size))).to(device)
    optimisers = make_optimisers(model, recipe.optimiser)
    state = _restore(out, recipe, model, optimisers) if resume else _start(out, recipe)
    metrics = Metrics(out / "metrics.jsonl", keep_until=state.step)
    autocast = _autocast(recipe.machine.precision, device)

    model.train()
    with Progress(recipe, model.config.parameters) as progress:
        progress.show(state.step, done(state, recipe), tokens=0, seconds=0.0)
        checkpoint = out / f"step-{state.step:08d}"
        while done(state, recipe) < 1:
            started = time.perf_counter()
            lr = learning_rate(state, recipe)
            batch = training.batch(state.samples_seen)
            loss, norm = train_step(model, optimisers, batch, lr, recipe.optimiser.clip, autocast)
            if not torch.isfinite(loss):
                raise UserError(
                    f"the loss is {loss.item()} at step {state.step + 1}; lower the learning rate and start again"
                )
            state.step += 1
            state.samples_seen += recipe.run.batch_size
            state.tokens_seen += batch.tokens
            seconds = time.perf_counter() - started
            state.seconds += seconds

            finished = done(state, recipe) >= 1
            if finished or state.step % recipe.run.log_every == 0:
                values = {
                    "loss": loss.item(),
                    "lr": lr,
                    "gradient_norm": norm.item(),
                    "tokens_per_second": batch.tokens / seconds,
                }
                metrics.write(step=state.step, tokens=state.tokens_seen, seconds=round(state.seconds, 3), **values)
                progress.say(loss=loss.item())
            if finished or state.step % recipe.run.validate_every == 0:
                held_out = validate(model, validation, recipe.run.validation_batches, autocast)
                metrics.write(step=state.step, tokens=state.tokens_seen, validation_loss=held_out)
                progress.say(validation=held_out)
            progress.show(state.step, done(state, recipe), tokens=batch.tokens, seconds=seconds)
            if finished or state.step % recipe.run.checkpoint_every == 0:
                checkpoint = save_checkpoint(out, state, recipe, model, tokenizer, optimisers)
                draw_curve(out)
    return checkpoint


def train_step(
    model: Transformer,
    optimisers: list[torch.optim.Optimizer],
    batch: Batch,
    lr: float,
    clip: float,
    autocast: AbstractContextManager[object],
) -> tuple[Tensor, Tensor]:
    """One update. Returns the loss in nats per target and the gradient's norm before it was clipped."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = lr
    with autocast:
        loss = loss_of(model, batch)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return loss.detach(), norm


def loss_of(model: Transformer, batch: Batch) -> Tensor:
    """Mean negative log-likelihood; sentinels weigh nothing but count in the denominator, as in the released code."""
    device = model.embed_tokens.weight.device
    inputs, targets, weights = (torch.from_numpy(a).to(device) for a in (batch.inputs, batch.targets, batch.weights))
    logits = model.logits(model(inputs))  # (batch, time, vocab)
    losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")  # (batch * time,)
    return (losses * weights.flatten()).sum() / batch.tokens


@torch.no_grad()
def validate(model: Transformer, validation: Samples, batches: int, autocast: AbstractContextManager[object]) -> float:
    """Mean loss over the first `batches` batches of the held-out data, the same ones every time."""
    model.eval()
    with autocast:
        losses = [loss_of(model, validation.batch(i * validation.batch_size)) for i in range(batches)]
    model.train()
    return torch.stack(losses).mean().item()


def learning_rate(state: State, recipe: Recipe) -> float:
    """Linear warm-up, then polynomial decay that reaches zero when the run is done (paper section 4)."""
    warmup = min(1.0, (state.step + 1) / max(1, recipe.optimiser.warmup_steps))
    return recipe.optimiser.lr * warmup * (1 - done(state, recipe)) ** recipe.optimiser.decay_power


def done(state: State, recipe: Recipe) -> float:
    """The share of the run that lies behind it, in steps or in minutes, whichever is more."""
    budgets = ((state.step, recipe.run.steps), (state.seconds / 60, recipe.run.minutes))
    return max(min(1.0, spent / budget) for spent, budget in budgets if budget)


# --- checkpoints -------------------------------------------------------------------------------------------------


def save_checkpoint(
    out: Path,
    state: State,
    recipe: Recipe,
    model: Transformer,
    tokenizer: Tokenizer,
    optimisers: list[torch.optim.Optimizer],
) -> Path:
    """Raises UserError when the disk is full: what was saved before is untouched then."""
    folder = out / f"step-{state.step:08d}"
    tensors = {"rng": torch.get_rng_state()}
    for name, parameter in model.named_parameters():
        for optimiser in optimisers:
            tensors |= {f"{name}:{key}": value for key, value in optimiser.state.get(parameter, {}).items()}
    files = {OPTIMISER: safetensors.torch.save(tensors), STATE: json.dumps(vars(state)).encode()}
    try:
        save_model(folder, model, tokenizer, extra=files)
    except OSError as error:
        last = find_checkpoints(out)
        raise UserError(
            f"the checkpoint of step {state.step} could not be written ({error.strerror}); "
            f"make room, then resume from {last[-1].name if last else 'the start'}"
        ) from None
    for old in find_checkpoints(out)[: -recipe.run.keep_checkpoints]:
        shutil.rmtree(old)
    return folder


def find_checkpoints(out: Path) -> list[Path]:
    """The finished checkpoints of a run, oldest first."""
    return sorted(path.parent for path in out.glob(f"step-*/{STATE}"))


def _start(out: Path, recipe: Recipe) -> State:
    if find_checkpoints(out):
        raise UserError(f"{out} holds a run already; add --resume to go on with it, or name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")
    return State()


def _restore(out: Path, recipe: Recipe, model: Transformer, optimisers: list[torch.optim.Optimizer]) -> State:
    found = find_checkpoints(out)
    if not found:
        return _start(out, recipe)  # it was killed before its first checkpoint
    begun = out / "recipe.json"
    if not begun.exists() or begun.read_text(encoding="utf-8") != recipe.to_json():
        raise UserError(
            f"{out} was started with another recipe (see its recipe.json); resume with that one, or name another folder"
        )
    folder = found[-1]
    try:
        weights, _ = load_transformer(folder)
        tensors = safetensors.torch.load_file(folder / OPTIMISER)
        state = State(**json.loads((folder / STATE).read_text(encoding="utf-8")))
        torch.set_rng_state(tensors.pop("rng"))
    except (ModelDirectoryError, OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise UserError(
            f"checkpoint {folder} cannot be read ({error}); delete that folder to resume from the one before"
        ) from None
    model.load_state_dict(weights.state_dict())
    for name, parameter in model.named_parameters():
        optimiser = next(
            one for one in optimisers if any(p is parameter for g in one.param_groups for p in g["params"])
        )
        keys = (key.removeprefix(f"{name}:") for key in tensors if key.startswith(f"{name}:"))
        optimiser.state[parameter] = {key: _placed(tensors[f"{name}:{key}"], parameter) for key in keys}
    return state


def _placed(value: Tensor, parameter: Tensor) -> Tensor:
    """Moments lie where their parameter lies; the step count, a scalar, on the CPU."""
    return value.to(parameter.device) if value.dim() else value


# --- the machine -------------------------------------------------------------------------------------------------


def keep_freed_memory() -> None:
    """Have glibc keep what is freed: a training step takes and gives back the same large blocks every time, and to fetch
    them anew from the kernel costs up to half of the time."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 500_000_000)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            libc.mallopt(option, value)


def bf16_is_faster(size: int = 512) -> bool:
    """Whether this CPU multiplies bf16 matrices faster than fp32 ones. Without instructions for it, it is far slower."""

    def seconds(dtype: torch.dtype) -> float:
        x = torch.ones(size, size, dtype=dtype)
        torch.mm(x, x)  # the first call prepares kernels
        started = time.perf_counter()
        torch.mm(x, x)
        return time.perf_counter() - started

    return seconds(torch.bfloat16) < seconds(torch.float32)


def _autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else bf16_is_faster()
        precision = "bf16" if fast else "fp32"
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("the recipe asks for device = 'cuda', but torch finds no GPU here; say 'cpu' or 'auto'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _open_data(recipe: Recipe) -> tuple[Tokenizer, Samples, Samples]:
    try:
        tokenizer = load_tokenizer(recipe.data.tokenizer)
    except TokenizerError as error:
        raise UserError(f"recipe {recipe.name}: {error}") from None
    return (
        tokenizer,
        _samples(recipe, recipe.data.train, tokenizer),
        _samples(recipe, recipe.data.validation, tokenizer),
    )


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
    )
