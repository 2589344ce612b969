"""`incoder eval`: how good a model is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typer.core import TyperCommand

from incoder_train.cli.common import need, one_sentence
from incoder_train.errors import UserError
from incoder_train.evaluate.groups import GROUPS, Group
from incoder_train.evaluate.groups import Run as GroupRun
from incoder_train.launch import REQUEUE

if TYPE_CHECKING:
    from incoder_train.evaluate.case import Settings, Task
    from incoder_train.evaluate.run import Result

WIDE = 130  # columns of a table where there is no terminal to ask


class EvalCommand(TyperCommand):
    """Its help ends with the tasks and groups there are."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from incoder_train.evaluate.tasks import TASKS

        lines = [f"{name}: {task.about}" for name, task in TASKS.items()]
        lines += [f"{name}: {group.about}" for name, group in GROUPS.items()]
        self.epilog = "\n\n".join(["Tasks, and groups of them:", *lines])
        super().format_help(ctx, formatter)


def evaluate(
    task: Annotated[str, typer.Argument(help="A task, or a group of runs; listed below.")],
    split: Annotated[str | None, typer.Option(help="Which part of the task; the first one by default.")] = None,
    method: Annotated[
        str | None, typer.Option(help="causal-mask, anchored, left-to-right, rerank or retrieval.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A model directory; by default the bundled model.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Cases at most, drawn with the seed.")] = None,
    json: Annotated[
        Path | None,
        typer.Option(help="The file to write; for a group, a folder. A run that was stopped goes on from it."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn: cases by --limit, and samples.")] = 0,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="0 is greedy, and the default; 0.8 where several samples are drawn.")
    ] = None,
    top_p: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="With a temperature: of the likeliest tokens.")
    ] = 0.95,
    samples: Annotated[int, typer.Option(min=1, help="Answers to each case, for pass@k.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Cases asked at a time, and kept when they are done.")] = 64,
    benchmarks: Annotated[Path | None, typer.Option(help="A folder of benchmarks that do not come along.")] = None,
    cases: Annotated[
        Path | None, typer.Option(help="With heldout: a file of JSON lines with the cases to ask.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="A PNG to write: the score by what stands right of the hole.")
    ] = None,
) -> None:
    """Ask a model, or the floor without one, to fill holes whose answers are known."""
    from incoder_train.evaluate.case import Settings

    console = Console()
    console = console if console.is_terminal else Console(width=WIDE)
    asked = Settings(
        task, model=model, limit=limit, seed=seed, temperature=temperature, top_p=top_p, samples=samples, batch=batch,
        benchmarks=benchmarks, cases=cases,
    )  # fmt: skip
    with one_sentence():
        if picture:
            need("matplotlib")
            from incoder_train.evaluate.picture import require_drawable

            require_drawable(picture)
        if task in GROUPS:
            if split is not None or method is not None or cases is not None:
                raise UserError(f"{task} is a group, which decides split, method and cases; leave them out")
            results = _run_group(GROUPS[task], asked, json, console)
        else:
            results = [_run_task(asked, split, method, json, console)]
        if picture:
            from incoder_train.evaluate.picture import draw

            draw(results, picture)
            console.print(str(picture), soft_wrap=True, highlight=False)


def _run_task(asked: Settings, split: str | None, method: str | None, out: Path | None, console: Console) -> Result:
    from incoder_train.evaluate.report import tabulate, title_of
    from incoder_train.evaluate.run import require_known, resolved
    from incoder_train.evaluate.tasks import TASKS

    require_known("task", asked.task, (*TASKS, *GROUPS))
    task = TASKS[asked.task]
    result = _run(task, resolved(task, asked, split, method), out, console)
    console.print(title_of(result), soft_wrap=True, highlight=False)
    console.print(tabulate(result, task))
    return result


def _run_group(group: Group, asked: Settings, folder: Path | None, console: Console) -> list[Result]:
    from incoder_train.evaluate.report import tabulate_group
    from incoder_train.evaluate.run import require_known, resolved
    from incoder_train.evaluate.tasks import TASKS

    for run in group.runs:
        require_known("task", run.task, tuple(TASKS))
    results: dict[GroupRun, Result] = {}
    for run in group.runs:
        task = TASKS[run.task]
        temperature = run.temperature if asked.temperature is None else asked.temperature
        settings = resolved(task, replace(asked, temperature=temperature), run.split or None, run.method)
        results[run] = _run(task, settings, folder and folder / f"{run.name}.json", console)
    console.print(f"{group.name}: {group.about}", soft_wrap=True, highlight=False)
    console.print(tabulate_group(group, results, TASKS))
    return list(results.values())


def _run(task: Task, settings: Settings, out: Path | None, console: Console) -> Result:
    from incoder_train.evaluate.run import run

    name = " ".join(part for part in (settings.task, settings.split, settings.method) if part)
    done = 0

    def note(now: int, total: int) -> None:
        nonlocal done
        done = now
        show(now, total)

    try:
        with _bar(console, name) as show:
            return run(task, settings, out, note)
    except KeyboardInterrupt:
        kept = f"{out} will go on from there when the command is given again" if out else "--json would have kept them"
        console.print(f"stopped by a signal after {done:,} cases; {kept}", soft_wrap=True, highlight=False)
        raise typer.Exit(REQUEUE) from None


@contextmanager
def _bar(console: Console, name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar, or in a log a line for each tenth that is done."""
    if not console.is_terminal:
        tenths = 0

        def tell(done: int, total: int) -> None:
            nonlocal tenths
            if (now := 10 * done // total) > tenths:
                tenths = now
                console.print(f"{name}: {done:,} of {total:,}", highlight=False)

        yield tell
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
