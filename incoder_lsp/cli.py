"""The command `incoder-lsp`."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from incoder_lsp import version
from incoder_lsp.infiller import Source
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
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Answer llama.cpp's /infill and OpenAI's /v1/completions on a loopback address: instead of an editor, or "
            "beside one with --stdio or --tcp.",
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The model directory; the bundled model by default.")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Complete by this server instead of a model; your code is sent there."),
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="What to write to stderr; trace writes your code, too.")
    ] = LogLevel.warning,
) -> None:
    """Serve one editor. Editors start this command themselves."""
    from incoder_lsp import transport
    from incoder_lsp.backend_address import parse_backend

    configure(log_level)
    if stdio and tcp is not None:
        _fail(2, "--stdio and --tcp exclude each other; give one of them.")
    if model is not None and backend is not None:
        _fail(2, "--model and --backend exclude each other; give one of them.")
    editor = stdio or tcp is not None or http is None
    if editor and tcp is None and (sys.stdin is None or sys.stdout is None):
        _fail(1, "stdin or stdout is closed; the editor speaks over both, or over --tcp HOST:PORT.")
    try:
        address = transport.parse_address(tcp) if tcp is not None else None
        http_address = transport.parse_address(http) if http is not None else None
        source = parse_backend(backend) if backend is not None else model
    except ValueError as error:
        _fail(2, f"{error}.")
    listener = _listen(*http_address) if http_address is not None else None
    if listener is not None and not editor:
        _serve_http(source, listener)

    from incoder_lsp.server import Server  # here, because it takes a second

    server = Server(source)
    beside = None
    if listener is not None:
        from incoder_lsp.http_server import serving_http

        beside = serving_http(server.worker, listener)
    try:
        if address is None:
            _end(transport.serve_stdio(server.protocol, beside))
        _end(transport.serve_tcp(server.protocol, *address, beside))
    except KeyboardInterrupt:
        _end(130)  # 128 + SIGINT
    except OSError as error:
        if address is None:
            raise
        _cannot_listen(*address, error)


def _listen(host: str, port: int) -> socket.socket:
    from incoder_lsp.http_server import listen

    try:
        return listen(host, port)
    except OSError as error:
        _cannot_listen(host, port, error)


def _serve_http(source: Source, listener: socket.socket) -> NoReturn:
    from incoder_lsp.http_server import serve_http
    from incoder_model.checkpoint import ModelDirectoryError

    try:
        _end(serve_http(source, listener))
    except ModelDirectoryError as error:
        typer.echo(f"incoder-lsp: {error}.", err=True)
        _end(1)


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


def _fail(code: int, sentence: str) -> NoReturn:
    typer.echo(f"incoder-lsp: {sentence}", err=True)
    raise typer.Exit(code)


def _cannot_listen(host: str, port: int, error: OSError) -> NoReturn:
    reason = os.strerror(error.errno or 0).lower()
    _fail(1, f"cannot listen on {host}:{port}: {reason}; choose another port.")


def _end(code: int) -> NoReturn:
    """Leave at once: a model that is loading or thinking on its thread would hold up an orderly end for seconds."""
    sys.stderr.flush()
    os._exit(code)
