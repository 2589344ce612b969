"""The commands that look at things: `check` at what is installed, `replay` at a session that was recorded."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from incoder_lsp.logs import LogLevel, configure


def check(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A file that suggestions are wanted in.")] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The model directory; that of the settings by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at all that a suggestion needs, and say what to do about what is wrong. Exits with 1 where there would be none."""
    from incoder_lsp.doctor import findings
    from incoder_lsp.doctor.finding import Level

    configure(LogLevel.error)
    found = []
    for one in findings(model, file):
        found.append(one)
        if not as_json:
            typer.echo(
                f"{one.level.value:4}  {one.name}: {one.found}" + (f"\n      {one.advice}" if one.advice else "")
            )
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in found], indent=1))
    raise typer.Exit(1 if any(one.level is Level.fail for one in found) else 0)


def replay(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="What `serve --record` wrote.")],
    model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The model directory; by default that of its settings."),
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Write what was answered here, too.")
    ] = None,
) -> None:
    """Put a recorded session through the server once more: what it answers, why it is silent, and what that costs. The same
    recording gives the same output."""
    from incoder_lsp.recording import BadRecording, read_recording
    from incoder_lsp.replay import Replay

    configure(LogLevel.error)
    try:
        again = Replay(read_recording(trace), model)
    except BadRecording as error:
        fail(1, f"{error}.")
    except OSError as error:
        fail(1, f"cannot read {trace}: {os.strerror(error.errno or 0).lower()}.")
    sums = asyncio.run(again.run())
    if again.failure:
        fail(1, again.failure)
    for one in again.replayed:
        typer.echo(str(one))
    typer.echo(", ".join(f"{name}: {number}" for name, number in sums.items()))
    if json_out is not None:
        text = json.dumps({"requests": [one.as_json() for one in again.replayed], "sums": sums}, indent=1)
        try:
            json_out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            fail(1, f"cannot write {json_out}: {os.strerror(error.errno or 0).lower()}.")


def fail(code: int, sentence: str) -> NoReturn:
    typer.echo(f"incoder-lsp: {sentence}", err=True)
    raise typer.Exit(code)
