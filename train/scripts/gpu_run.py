"""A training run on a rented machine that has a GPU, no network and nothing afterwards. docs/gpu-run.md goes through it.

    pack       at home    a corpus and its tokenizer become a few files, which are carried there
    shard      there      the files that have arrived become token shards, in the end all of them
    train      there      starts a run that goes on when the command has ended
    status     there      how far it is, now or after a while
    collect    there      the newest model, in bf16, and its run's papers become small files, which are carried home
    join       at home    those become the run's folder again, for `incoder bundle`

Each can be given again at any time: what is done is not done again, what was cut short is not taken for whole. Paths in a
recipe are relative to the folder one stands in: there, a work folder outside of the source tree.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from incoder_train.cli.common import Out, one_sentence
from incoder_train.freight import pack_corpus, pack_run, shard_corpus, unpack_run, write_whole
from incoder_train.training.metrics import METRICS, read_metrics
from incoder_train.training.recipe import read_recipe

SOURCE = Path(__file__).resolve().parents[2]
MB = 1_000_000
LOG, PROCESS = "log.txt", "pid"  # in the run's folder

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="A training run on a rented GPU machine.")
Recipe = Annotated[Path, typer.Argument(help="A recipe's file, or the name of one that comes along.")]
Carried = Annotated[Path, typer.Argument(help="The folder with the files that were carried.")]


@app.command()
def pack(
    corpus: Annotated[Path, typer.Argument(help="A folder that `incoder data build` made, with tokenizer.json in it.")],
    out: Out,
    part_mb: Annotated[int, typer.Option(min=1, help="Megabytes of a file, at most.")] = 40,
) -> None:
    """At home: write a corpus and its tokenizer as a few files."""
    with one_sentence():
        pack_corpus(corpus, out, part_mb * MB)
    list_files(out)


@app.command()
def shard(recipe: Recipe, carried: Carried) -> None:
    """There: make token shards of the files that have arrived."""
    with one_sentence():
        data = read_recipe(recipe).data
        for line in shard_corpus(carried, {"train": data.train, "validation": data.validation}, data.tokenizer):
            print(line, flush=True)


@app.command()
def train(
    recipe: Recipe, patience: Annotated[float, typer.Option(help="Seconds to wait whether it ends at once.")] = 20
) -> None:
    """There: start the run, or go on with it, in a process of its own."""
    ended = None
    with one_sentence():
        run = run_of(recipe)
        if running(run):
            print(f"{run} is at work already")
            return
        run.mkdir(parents=True, exist_ok=True)
        given = recipe.resolve() if recipe.exists() else recipe
        packages = [str(folder) for folder in (SOURCE, SOURCE / "model", SOURCE / "train")]
        with (run / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "incoder_train", "train", str(given), "--out", str(run), "--resume"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join([*packages, os.environ.get("PYTHONPATH", "")])},
            )
        write_whole(run / PROCESS, str(process.pid).encode())
        try:
            ended = process.wait(patience)
            print(tail(run / LOG, 20))
        except subprocess.TimeoutExpired:
            print(f"{run} is at work; its log is {run / LOG}")
    if ended:
        raise typer.Exit(1)


@app.command()
def status(
    recipe: Recipe,
    wait: Annotated[float, typer.Option(help="Seconds before it says so; fewer if the run ends.")] = 0,
    lines: Annotated[int, typer.Option(help="Of the log.")] = 12,
) -> None:
    """There: how far the run is."""
    with one_sentence():
        run, until = run_of(recipe), time.monotonic() + wait
        while running(run) and time.monotonic() < until:
            time.sleep(1)
        print(tail(run / LOG, lines))
        measured = read_metrics(run / METRICS)
        for kind in ("loss", "validation_loss"):
            for line in [line for line in measured if kind in line][-1:]:
                print("  ".join(f"{key} {value:,.6g}" for key, value in line.items()))
        print("checkpoints:", ", ".join(sorted(folder.name for folder in run.glob("step-*"))) or "none")
        print("at work" if running(run) else "not at work")


@app.command()
def collect(
    recipe: Recipe, out: Out, part_mb: Annotated[int, typer.Option(min=1, help="Megabytes of a file, at most.")] = 16
) -> None:
    """There: write the newest model, in bf16, with its run's recipe, metrics and log as small files."""
    with one_sentence():
        print(pack_run(run_of(recipe), out, part_mb * MB))
    list_files(out)


@app.command()
def join(carried: Carried, out: Annotated[Path, typer.Option(help="The run's folder, to be made.")]) -> None:
    """At home: make the run's folder of what `collect` wrote."""
    with one_sentence():
        print(unpack_run(carried, out))


def run_of(recipe: Path) -> Path:
    return Path("runs") / read_recipe(recipe).name


def running(run: Path) -> bool:
    """Whether the process that `train` started is alive, and not another one with its number."""
    try:
        number = int((run / PROCESS).read_text())
        return b"incoder_train" in Path(f"/proc/{number}/cmdline").read_bytes()  # empty when it has ended
    except (OSError, ValueError):
        return False


def tail(file: Path, lines: int) -> str:
    text = file.read_bytes().decode(errors="replace") if file.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


def list_files(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        print(f"{file.stat().st_size:>12,}  {file}")


if __name__ == "__main__":
    app()
