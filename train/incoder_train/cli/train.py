"""`incoder train`: a recipe becomes a model. `incoder train RECIPE` is short for `incoder train run RECIPE`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from incoder_train.cli.common import need, one_sentence
from incoder_train.launch import REQUEUE


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
            print(f"stopped by a signal; {stopped} holds all of it, --resume goes on from there")
            raise typer.Exit(REQUEUE) from None


def wait_politely() -> None:
    """Before torch is imported: its threads sleep while they wait for each other. They spin by default, and where another
    program runs on the same cores, most of the processor's time goes into that."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


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
