"""`incoder train`: a recipe becomes a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from incoder_train.cli.common import need, one_sentence

REQUEUE = 85  # the exit code of a run that was asked to stop and wants to go on


def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML recipe; see incoder_train/recipes.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; by default runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train a model."""
    with one_sentence():
        need("torch")
        from incoder_train.training.loop import Stopped
        from incoder_train.training.loop import train as run
        from incoder_train.training.recipe import read_recipe

        settings = read_recipe(recipe)
        try:
            print(run(settings, out or Path("runs") / settings.name, resume=resume))
        except Stopped as stopped:
            print(f"stopped by a signal; {stopped} holds all of it, --resume goes on from there")
            raise typer.Exit(REQUEUE) from None
