"""The training loop: a recipe goes in; checkpoints, metrics and a loss curve come out of its run folder.

    run/recipe.json           the recipe with its defaults filled in
    run/metrics.jsonl         one line every `log_every` steps and at every validation
    run/loss.png              the curve, redrawn at every checkpoint
    run/step-00000250/        a checkpoint (see `checkpoints`)

The same loop runs in one process or in each of many. What they must agree on (how many tokens a batch has, whether its
update is made, when to stop) depends on numbers that all of them have. A run that was stopped goes on from its last
checkpoint with `resume`, and ends with the weights it would have had anyway: bit for bit on as many devices, and with the
same samples in the same order on any number.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from incoder_train.errors import UserError
from incoder_train.tokens.prefetch import Prefetch
from incoder_train.training.checkpoints import Saver, folder_of
from incoder_train.training.curve import draw_curve
from incoder_train.training.metrics import Metrics
from incoder_train.training.parallel import join_world
from incoder_train.training.precision import choose_device, keep_freed_memory
from incoder_train.training.progress import Progress
from incoder_train.training.recipe import Recipe
from incoder_train.training.start import Begun, Count, begin, save
from incoder_train.training.telemetry import Telemetry
from incoder_train.training.update import loss_on, update

SKIPS = 50  # updates skipped in a row, after which the run gives up
STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Stopped(Exception):  # noqa: N818 - it is none
    """A signal asked the run to end. It has saved itself in the checkpoint that this names."""


def train(recipe: Recipe, out: Path, *, resume: bool = False) -> Path:
    """Run `recipe` in the folder `out`; returns the last checkpoint. Raises UserError when the run cannot start or go on,
    and Stopped when a signal ended it."""
    keep_freed_memory()
    with join_world(choose_device(recipe.machine.device)) as world, told_to_stop() as signals:
        return run(begin(recipe, out, world, resume=resume), out, signals)


def run(begun: Begun, out: Path, signals: list[int]) -> Path:
    recipe, world, count, data = begun.recipe, begun.world, begun.count, begun.data
    settings, samples = recipe.run, data.training
    metrics = None
    if world.first:
        metrics = Metrics(out / "metrics.jsonl", keep_until=count.step, tensorboard=settings.tensorboard)
    telemetry = Telemetry(begun)
    checkpoint = folder_of(out, count.step)
    with (
        Saver(out, world, settings.keep_checkpoints) as saver,
        Progress(recipe, begun.config.parameters, shown=world.first) as progress,
        Prefetch(samples, count.samples_seen, world.rank, world.size) as batches,
    ):
        progress.show(count.step, done(count, recipe), tokens=0, seconds=0.0)
        while done(count, recipe) < 1:
            started = time.perf_counter()
            batch = next(batches)
            said = world.gather(batch.tokens, batch.targets.size, len(signals))  # (size, 3)
            tokens, slots, stopping = (int(value) for value in said.sum(0))
            lr = learning_rate(count, recipe)
            made = update(
                begun.trainee,
                batch,
                world,
                tokens=tokens,
                micro_batch=recipe.machine.micro_batch,
                lr=lr,
                clip=recipe.optimiser.clip,
            )
            seconds = world.gather(time.perf_counter() - started)[0].item()  # as the first process sees it
            count.add(samples.batch_size, tokens, seconds, skipped=made.skipped is not None)
            if made.skipped is not None:
                progress.tell(f"step {count.step} was skipped: {made.skipped}")
            if count.skipped_in_a_row > SKIPS:
                raise UserError(
                    f"{SKIPS} updates in a row were skipped, the last because {made.skipped}; lower the learning rate, "
                    "and resume or start again"
                )

            finished = done(count, recipe) >= 1
            telemetry.add(tokens=tokens, slots=slots, seconds=seconds)
            if metrics and (finished or count.step % settings.log_every == 0):
                values = telemetry.values(batches.waited) | {
                    "loss": made.loss,
                    "lr": lr,
                    "gradient_norm": made.gradient_norm,
                }
                metrics.write(step=count.step, tokens=count.tokens_seen, seconds=round(count.seconds, 3), **values)
                progress.say(loss=made.loss)
            if finished or count.step % settings.validate_every == 0:
                held_out = validate(begun)
                if metrics:
                    values = {"validation_loss": held_out} | telemetry.bits_per_byte(held_out)
                    metrics.write(step=count.step, tokens=count.tokens_seen, **values)
                progress.say(validation=held_out)
            progress.show(count.step, done(count, recipe), tokens=tokens, seconds=seconds)
            due = (
                count.step % settings.checkpoint_every == 0 and not count.skipped_in_a_row
            )  # while in trouble, keep the old
            if finished or stopping or due:
                checkpoint = save(begun, saver, export=finished or settings.export == "every")
                if world.first and find_spec("matplotlib"):  # rented machines may lack it; the numbers are there anyway
                    draw_curve(out)
            saver.poll()
            if stopping and not finished:
                raise Stopped(checkpoint)
    return checkpoint


def validate(begun: Begun) -> float:
    """Mean loss over the first batches of the held-out data, the same ones every time."""
    samples, world = begun.data.validation, begun.world
    batches = (
        samples.batch(i * samples.batch_size, world.rank, world.size)
        for i in range(begun.recipe.run.validation_batches)
    )
    return loss_on(begun.trainee.replica, batches, world, begun.recipe.machine.micro_batch)


def learning_rate(count: Count, recipe: Recipe) -> float:
    """Linear warm-up, then polynomial decay that reaches zero when the run is done (paper section 4)."""
    warmup = min(1.0, (count.step + 1) / max(1, recipe.optimiser.warmup_steps))
    return recipe.optimiser.lr * warmup * (1 - done(count, recipe)) ** recipe.optimiser.decay_power


def done(count: Count, recipe: Recipe) -> float:
    """The share of the run that lies behind it, in steps or in minutes, whichever is more."""
    budgets = ((count.step, recipe.run.steps), (count.seconds / 60, recipe.run.minutes))
    return max(min(1.0, spent / budget) for spent, budget in budgets if budget)


@contextmanager
def told_to_stop() -> Iterator[list[int]]:
    """The signals that have come and ask the run to save itself and end: those of Slurm and of a person. The second one of
    a person ends it at once."""
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        came.append(number)
        if came.count(signal.SIGINT) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in STOPPING}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
