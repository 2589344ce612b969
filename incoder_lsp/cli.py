"""The command `incoder-lsp`."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from incoder_lsp import version
from incoder_lsp.infiller import Source
from incoder_lsp.logs import LogLevel, configure
from incoder_lsp.serve import leave, serve_alone, serve_shared

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
        str | None,
        typer.Option(metavar="HOST:PORT", help="Listen for one editor on a loopback address; without the daemon."),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Answer llama.cpp's /infill and OpenAI's /v1/completions on a loopback address: instead of an editor, or "
            "beside one with --stdio or --tcp; without the daemon.",
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The model directory; the bundled model by default.")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Complete by this server instead of a model; your code is sent there. Without the daemon.",
        ),
    ] = None,
    log_level: Annotated[
        LogLevel,
        typer.Option(
            help="What to write to stderr, or to the daemon's log; trace writes your code, without the daemon."
        ),
    ] = LogLevel.warning,
    no_daemon: Annotated[
        bool, typer.Option("--no-daemon", help="Load the model in this process, for this editor. Always so on Windows.")
    ] = False,
) -> None:
    """Serve one editor. Editors start this command themselves; all of them share one model, in a daemon."""
    from incoder_lsp.backend.address import parse_backend
    from incoder_lsp.transport import parse_address

    if stdio and tcp is not None:
        _fail(2, "--stdio and --tcp exclude each other; give one of them.")
    if model is not None and backend is not None:
        _fail(2, "--model and --backend exclude each other; give one of them.")
    editor = stdio or tcp is not None or http is None
    if editor and tcp is None and (sys.stdin is None or sys.stdout is None):
        _fail(1, "stdin or stdout is closed; the editor speaks over both, or over --tcp HOST:PORT.")
    try:
        address = parse_address(tcp) if tcp is not None else None
        http_address = parse_address(http) if http is not None else None
        source = parse_backend(backend) if backend is not None else model
    except ValueError as error:
        _fail(2, f"{error}.")
    if not (no_daemon or address or http_address or backend):
        serve_shared({"model": str(model) if model else None, "log_level": log_level.value})
    listener = _listen(*http_address) if http_address is not None else None
    if listener is not None and not editor:
        configure(log_level)
        _serve_http(source, listener)
    try:
        serve_alone(source, log_level, address, listener)
    except OSError as error:
        if address is None:
            raise
        _cannot_listen(*address, error)


def _listen(host: str, port: int) -> socket.socket:
    from incoder_lsp.http.server import listen

    try:
        return listen(host, port)
    except OSError as error:
        _cannot_listen(host, port, error)


def _serve_http(source: Source, listener: socket.socket) -> NoReturn:
    from incoder_lsp.http.server import serve_http
    from incoder_model.checkpoint import ModelDirectoryError

    try:
        leave(partial(serve_http, source, listener))
    except ModelDirectoryError as error:
        _fail(1, f"{error}.")


@app.command()
def daemon(
    status: Annotated[bool, typer.Option("--status", help="Print what the daemon is doing.")] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="End the daemon. An editor that is still open starts another one.")
    ] = False,
    foreground: Annotated[bool, typer.Option("--foreground", help="Be the daemon, here, until it is idle.")] = False,
    socket: Annotated[Path | None, typer.Option(metavar="PATH", help="Where it listens; `serve` gives this.")] = None,
) -> None:
    """Start the process that holds the model for all editors. `serve` does this itself; it ends ten minutes after the last
    editor has gone, or after INCODER_DAEMON_IDLE seconds."""
    if sys.platform == "win32":
        _fail(1, "there is no daemon on Windows yet; `serve` loads the model itself.")
    from incoder_lsp.daemon.client import NOBODY_THERE, greet
    from incoder_lsp.daemon.place import Unreachable, log_path, socket_path
    from incoder_lsp.daemon.process import start_daemon

    try:
        path = socket or socket_path()
        if not (status or stop):
            start_daemon(path, foreground)
            return
        answer = greet(path, {"want": "stop" if stop else "status"})[1]
    except Unreachable as error:
        _fail(1, f"{error}.")
    except NOBODY_THERE:
        _fail(1, "no daemon is running.")
    except (OSError, ValueError) as error:
        _fail(1, f"the daemon does not answer: {error}.")
    models = ", ".join(answer["models"]) or "none"
    typer.echo(
        f"{'stopped' if stop else 'running'}: incoder-lsp {answer['version']}, process {answer['pid']}, "
        f"editors: {answer['sessions']}, models: {models}, log: {log_path(path)}"
    )


@app.command()
def settings(
    json: Annotated[
        bool, typer.Option("--json", help="Print them as JSON: by group, with type, default and description.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/settings.md.")] = False,
) -> None:
    """Print every setting: what it takes, its default, what it does, and where it can be set."""
    from incoder_lsp import settings_page

    if json and markdown:
        _fail(2, "--json and --markdown exclude each other; give one of them.")
    if json or markdown:
        typer.echo(settings_page.as_json() if json else settings_page.as_markdown(), nl=json)
    else:
        settings_page.show()


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


@app.command()
def stats(
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Begin anew, after printing.")] = False,
) -> None:
    """Show what became of suggestions on this machine: shown, accepted, and kept after 30 seconds and 5 minutes."""
    import json

    from rich.console import Console

    from incoder_lsp.stats import table_of
    from incoder_lsp.tally import read_statistics, reset_statistics, statistics_path

    path = statistics_path()
    try:
        since, languages = read_statistics(path)
        if as_json:
            typer.echo(json.dumps({"file": str(path), "since": since or None, "languages": languages}, indent=1))
        elif languages:
            Console().print(table_of(since, languages))
        else:
            typer.echo(f"Nothing has been suggested yet, or it was not counted; it would stand in {path}.")
        if reset:
            reset_statistics(path)
    except OSError as error:
        _fail(1, f"{path} cannot be used: {os.strerror(error.errno or 0).lower()}.")


def _fail(code: int, sentence: str) -> NoReturn:
    typer.echo(f"incoder-lsp: {sentence}", err=True)
    raise typer.Exit(code)


def _cannot_listen(host: str, port: int, error: OSError) -> NoReturn:
    reason = os.strerror(error.errno or 0).lower()
    _fail(1, f"cannot listen on {host}:{port}: {reason}; choose another port.")
