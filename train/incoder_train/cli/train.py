"""`incoder train`: a recipe becomes a model. `incoder train RECIPE` is short for `incoder train run RECIPE`."""

from __future__ import annotations

import os
import shlex
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from incoder_train.cli.common import need, one_sentence
from incoder_train.launch import REQUEUE

NOT_IMPROVED = 3  # the exit code of a fine-tuning whose model is not offered


class RunByDefault(TyperGroup):
    """What is no command is the recipe, or an option, of `run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=RunByDefault,
    no_args_is_help=True,
    subcommand_metavar="RECIPE [--out DIR] [--resume] ... | COMMAND [ARGS]...",
    help="Train a model as a recipe says: `incoder train RECIPE`.\n\n"
    "What can be said beside the recipe: `incoder train run --help`.",
)


class Device(str, Enum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@app.command("run")
def train(
    recipe: Annotated[
        Path, typer.Argument(help="A TOML file, or the name of a recipe that comes along, such as small-cpu.")
    ],
    out: Annotated[Path | None, typer.Option(help="The run's folder; by default runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train a model; the word `run` can be left out."""
    with one_sentence():
        need("torch")
        wait_politely()
        from incoder_train.training.loop import Stopped
        from incoder_train.training.loop import train as run
        from incoder_train.training.recipe import read_recipe

        settings = read_recipe(recipe)
        try:
            print(run(settings, out or Path("runs") / settings.name, resume=resume))
        except Stopped as stopped:
            if os.environ.get("RANK", "0") == "0":  # of many processes one speaks
                print(f"stopped by a signal; {stopped} holds all of it, --resume goes on from there")
            raise typer.Exit(REQUEUE) from None


def wait_politely() -> None:
    """Before torch is imported: its threads spin only shortly while they wait for each other. By default they spin for long,
    and where another program runs on the same cores, most of the processor's time goes into that (docs/experiments.md)."""
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")


@app.command("report")
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, also of runs that go on.")],
    picture: Annotated[
        Path | None, typer.Option(help="Where the curves go; by default report.png in the first run's folder.")
    ] = None,
) -> None:
    """Draw the curves of one run, or of several to compare them, and print where they stand."""
    with one_sentence():
        need("matplotlib")
        from incoder_train.training.report import report_runs

        table, drawn = report_runs(runs, picture)
    console = Console()
    console.print(table)
    console.print(str(drawn), soft_wrap=True, highlight=False)


@app.command("finetune-repo")
def finetune_repo(
    data: Annotated[Path, typer.Option(help="The folder of a repository; git says which files belong to it.")],
    init: Annotated[
        str | None, typer.Option(help="The model to adapt: a model directory, or `bundled`, which is the default.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Of training, at most; 10 by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; by default runs/finetune-NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    cases: Annotated[int, typer.Option(min=20, help="Held-out lines to judge by, at most.")] = 200,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    recipe: Annotated[Path | None, typer.Option(help="Another recipe than finetune-repo.toml.")] = None,
) -> None:
    """Adapt a model to a repository, and offer it if it fills held-out lines better.

    Ends with exit code 3 if it does not.
    """
    console = Console()
    with one_sentence():
        for package in ("torch", "zstandard", "matplotlib"):
            need(package)
        wait_politely()
        from incoder_train.finetune.adapting import SHIPPED, Asked, finetune
        from incoder_train.training.loop import Stopped

        name = f"finetune-{data.resolve().name}"
        asked = Asked(data, out or Path("runs") / name, init, recipe or SHIPPED, minutes, cases, device.value)
        try:
            outcome = finetune(asked, resume=resume, say=lambda line: console.print(line, soft_wrap=True, markup=False))
        except Stopped as stopped:
            console.print(
                f"stopped by a signal; {stopped} holds all of it, --resume goes on from there", soft_wrap=True
            )
            raise typer.Exit(REQUEUE) from None
    table = Table(f"{outcome.cases} held-out lines", "before", "after")
    for row in outcome.rows:
        table.add_row(*row)
    console.print(table)
    gain = f"{outcome.verdict.gain:+.3f} ± {outcome.verdict.error:.3f} nats per token"
    if outcome.model is None:
        console.print(
            f"The held-out infilling did not improve ({gain}); keep the model you have. Nothing is offered.",
            soft_wrap=True,
        )
        raise typer.Exit(NOT_IMPROVED)
    console.print(f"The held-out infilling improved ({gain}). To use the model:", soft_wrap=True)
    console.print(
        f"incoder-lsp serve --model {shlex.quote(str(outcome.model.resolve()))}", soft_wrap=True, markup=False
    )
