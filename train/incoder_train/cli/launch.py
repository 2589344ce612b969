"""`incoder launch`: a training run on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from incoder_train.cli.common import one_sentence

app = typer.Typer(no_args_is_help=True, help="Start a training run on a cluster.")


@app.callback()
def launch() -> None:
    pass


@app.command()
def slurm(
    recipe: Annotated[
        Path, typer.Argument(help="A TOML file, or the name of a recipe that comes along, such as small-cpu.")
    ],
    nodes: Annotated[int, typer.Option(min=1)] = 1,
    gpus_per_node: Annotated[int, typer.Option(min=1)] = 8,
    time: Annotated[
        str | None, typer.Option(help="Until the job is requeued, in Slurm's notation, such as 24:00:00.")
    ] = None,
    partition: Annotated[str | None, typer.Option()] = None,
    sbatch: Annotated[
        list[str] | None, typer.Option(help="A further option for sbatch, such as --account=physics; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; by default runs/NAME.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write the script, submit nothing.")] = False,
) -> None:
    """Write a batch script into the run's folder and submit it; it requeues itself until the run is done."""
    with one_sentence():
        from incoder_train.launch import launch_slurm
        from incoder_train.training.recipe import read_recipe

        settings = read_recipe(recipe)
        script, job = launch_slurm(
            recipe,
            out or Path("runs") / settings.name,
            name=settings.name,
            nodes=nodes,
            gpus_per_node=gpus_per_node,
            time=time,
            partition=partition,
            options=sbatch or (),
            dry_run=dry_run,
        )
        print(script if job is None else f"job {job}: {script}")
