"""The `incoder` command: fill holes in a file, and everything from source archives to a bundled model.

Each command reads its arguments, calls one function and prints what came of it. What needs torch is imported when it runs.
One file here for each command or group of commands.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from incoder_train.cli import bundle, convert, data, infill, launch, plan, tokenizer, train
from incoder_train.cli import eval as evaluation

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="InCoder: code infilling, from training to use."
)
app.command()(infill.infill)
app.add_typer(data.app, name="data")
app.add_typer(tokenizer.app, name="tokenizer")
app.command()(plan.plan)
app.add_typer(train.app, name="train")
app.add_typer(launch.app, name="launch")
app.command("eval", cls=evaluation.EvalCommand, no_args_is_help=True)(evaluation.evaluate)
app.command()(bundle.bundle)
app.command()(convert.convert)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("incoder-lsp"))
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass
