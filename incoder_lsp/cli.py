"""The command `incoder-lsp`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from incoder_lsp import version
from incoder_lsp.logs import LogLevel, configure

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"incoder-lsp {version()}")
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Code infilling for your editor, on this machine alone."""


@app.command()
def serve(
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak over stdin and stdout. This is the default.")] = False,
    tcp: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Listen for one editor on a loopback address.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The model directory; the bundled model by default.")
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="What to write to stderr; trace writes your code, too.")
    ] = LogLevel.warning,
) -> None:
    """Serve one editor. Editors start this command themselves."""
    from incoder_lsp import transport

    configure(log_level)
    if stdio and tcp is not None:
        _fail(2, "--stdio and --tcp exclude each other; give one of them.")
    if tcp is None and (sys.stdin is None or sys.stdout is None):
        _fail(1, "stdin or stdout is closed; the editor speaks over both, or over --tcp HOST:PORT.")
    try:
        address = transport.parse_address(tcp) if tcp is not None else None
    except ValueError as error:
        _fail(2, f"{error}.")

    from incoder_lsp.server import Server  # here, because it takes a second

    protocol = Server(model).protocol
    try:
        _end(transport.serve_stdio(protocol) if address is None else transport.serve_tcp(protocol, *address))
    except KeyboardInterrupt:
        _end(130)  # 128 + SIGINT
    except OSError as error:
        if address is None:
            raise
        _fail(1, f"cannot listen on {tcp}: {os.strerror(error.errno or 0).lower()}; choose another port.")


@app.command()
def demo(
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The model directory; the bundled model by default.")
    ] = None,
) -> None:
    """Watch the server complete code while it is typed, here in the terminal."""
    from rich.console import Console

    from incoder_lsp.demo import play

    if not asyncio.run(play(model, Console())):
        raise typer.Exit(1)


@app.command()
def conformance(
    server: Annotated[str, typer.Option(metavar="CMD", help="The command that starts the server, quoted for a shell.")],
    json_out: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Write the outcomes here, too.")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="N,...", help="Run only the checks with these numbers.")] = None,
    soak: Annotated[
        int | None, typer.Option(metavar="N", min=100, help="Instead of the checks: N requests through four lives.")
    ] = None,
    budget: Annotated[float, typer.Option(metavar="MS", help="From a key to its answer, 95th percentile.")] = 300.0,
    ready: Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait for the first suggestion.")] = 120.0,
    knobs: Annotated[
        str | None,
        typer.Option(metavar="JSON", help='What cannot be asked for: {"off": ..., "on": ..., "broken": ...}.'),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The server's home directory; by default an empty one.")
    ] = None,
) -> None:
    """Check any language server that offers inline completion against 35 things that such servers get wrong."""
    from incoder_lsp.conformance import command

    try:
        choice = command.Choice.read(server, only=only, soak=soak, knobs=knobs, home=home, ready=ready, budget=budget)
    except ValueError as error:
        _fail(2, f"{error}.")
    try:
        passed = command.conform(choice, json_out)
    except OSError as error:
        _fail(1, f"cannot write {json_out}: {os.strerror(error.errno or 0).lower()}.")
    raise typer.Exit(0 if passed else 1)


def _fail(code: int, sentence: str) -> NoReturn:
    typer.echo(f"incoder-lsp: {sentence}", err=True)
    raise typer.Exit(code)


def _end(code: int) -> NoReturn:
    """Leave at once: a model that is loading or thinking on its thread would hold up an orderly end for seconds."""
    sys.stderr.flush()
    os._exit(code)
