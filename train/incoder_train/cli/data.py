"""`incoder data`: from source archives to token shards."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from incoder_train.cli.common import Out, need, one_sentence
from incoder_train.errors import UserError

if TYPE_CHECKING:
    from incoder_train.corpus import runner
    from incoder_train.corpus.build import Dispatch
    from incoder_train.corpus.runner import Step

app = typer.Typer(no_args_is_help=True, help="From source archives to token shards.")


class Cluster(str, Enum):
    ray = "ray"
    slurm = "slurm"


@app.command("build")
def data_build(
    manifest: Annotated[Path, typer.Argument(help="A TOML list of archives with version, licence and sha256.")],
    out: Out,
    cache: Annotated[Path, typer.Option(help="Where downloaded archives are kept.")] = Path("data/archives"),
    benchmarks: Annotated[Path | None, typer.Option(help="Benchmark files that must not be in the corpus.")] = None,
    without_decontamination: Annotated[
        bool, typer.Option("--without-decontamination", help="Go on without them.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each core.")] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The choices of the paper's text instead of the manifest's.")
    ] = False,
    near_dedup: Annotated[bool, typer.Option("--near-dedup", help="Drop near copies, too.")] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="One choice, as in the manifest's [options]; may be repeated."),
    ] = None,
    keep_work: Annotated[
        bool, typer.Option("--keep-work", help="Keep the tasks' files, for a quick build of a changed manifest.")
    ] = False,
    on: Annotated[
        Cluster | None, typer.Option(help="Perform the tasks on a cluster that sees the same folders, not here.")
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="With --on slurm: an option of sbatch, as partition=cpu; may be repeated."
        ),
    ] = None,
) -> None:
    """Collect, filter, redact, deduplicate and decontaminate a corpus. A killed build goes on where it was."""
    with one_sentence():
        need("zstandard")
        from incoder_train.corpus import build_corpus
        from incoder_train.corpus.manifest import read_manifest
        from incoder_train.corpus.options import PAPER, parse_options, set_options
        from incoder_train.corpus.report import print_stages

        options = PAPER if paper else read_manifest(manifest).options
        options = set_options(options, parse_options(option or []), "--option")
        if near_dedup:
            options = set_options(options, {"near_dedup": True}, "--near-dedup")
        console = Console()
        workers = workers or _cores()
        dispatch = _dispatch(on, workers, sbatch or [], console)
        with _bars(console) as progress:
            statistics = build_corpus(
                manifest,
                out,
                cache=cache,
                benchmarks=benchmarks,
                without_decontamination=without_decontamination,
                options=options,
                workers=workers,
                keep_work=keep_work,
                dispatch=dispatch,
                progress=progress,
            )
        print_stages(console, statistics)
        console.print(f"{statistics.documents:,} documents, {statistics.bytes:,} bytes in {out}")


@app.command("report")
def data_report(
    corpus: Annotated[Path, typer.Argument(help="A folder that `incoder data build` made.")],
    picture: Annotated[Path | None, typer.Option(help="A PNG to write.")] = None,
) -> None:
    """Show a corpus: its languages, what each stage dropped and why, where the copies came from."""
    with one_sentence():
        from incoder_train.corpus.build import read_statistics
        from incoder_train.corpus.report import draw, print_report

        statistics = read_statistics(corpus)
        print_report(Console(), statistics)
        if picture:
            need("matplotlib")
            draw(picture, statistics)


@app.command("shard")
def data_shard(
    corpus: Annotated[Path, typer.Argument(help="A folder that `incoder data build` made.")],
    tokenizer: Annotated[Path, typer.Option(help="A tokenizer.json.")],
    out: Annotated[
        Path | None, typer.Option(help="Gets a folder for each split; by default the corpus folder.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Which metadata goes in front of a document and which behind it.")
    ] = 0,
) -> None:
    """Tokenise a corpus into the shards that training reads."""
    with one_sentence():
        from incoder_model.tokenizer import TokenizerError, load_tokenizer
        from incoder_train.corpus import read_documents
        from incoder_train.corpus.build import read_statistics, require_trainable
        from incoder_train.tokens.shards import attributed, write_shard

        try:
            loaded = load_tokenizer(tokenizer)
        except TokenizerError as error:
            raise UserError(str(error)) from None
        require_trainable(corpus)
        front = read_statistics(corpus).options["front_probability"]
        for split in ("train", "validation"):
            documents = map(attributed, read_documents(corpus, split))
            counts = write_shard((out or corpus) / split, documents, loaded, seed=seed, front_probability=front)
            print(f"{split}: {counts['documents']:,} documents, {counts['tokens']:,} tokens")


def _dispatch(on: Cluster | None, workers: int, sbatch: list[str], console: Console) -> Dispatch | None:
    """What performs the tasks on a cluster; None if they are performed here."""
    if on is None:
        return None
    need("datatrove")
    need("ray")
    from incoder_train.corpus.executors import perform_on_ray, submit_to_slurm

    if on is Cluster.ray:
        return lambda steps, work: perform_on_ray(steps, work, workers=workers)
    pairs = [setting.partition("=") for setting in sbatch]
    options = {key: value for key, _, value in pairs}

    def submit(steps: Sequence[Step], work: Path) -> None:
        if jobs := submit_to_slurm(steps, work, workers=workers, sbatch=options):
            console.print(f"submitted jobs {', '.join(jobs)}; run the same command again when they are done")
            raise typer.Exit

    return submit


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _bars(console: Console) -> Iterator[runner.Progress]:
    """A bar for each step, or in a log a line when it is done."""
    if not console.is_terminal:
        yield lambda step, done, world: console.print(f"{step}: {world} of {world} tasks") if done == world else None
        return
    columns = TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def progress(step: str, done: int, world: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=world)
            bars.update(tasks[step], completed=done)

        yield progress
