"""The command `serve`, in one of two ways: through the daemon that all editors share, or in this process alone.

The command line's options come in; the process ends with a session's exit code. `quick_options` reads the few command
lines that editors start, because the relay should be there before typer is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from incoder_lsp.backend.key import own_key
from incoder_lsp.daemon.client import COMMAND
from incoder_lsp.learned import data_folder
from incoder_lsp.settings_files import user_file

if TYPE_CHECKING:
    import socket

    from incoder_lsp.infiller import Source
    from incoder_lsp.logs import LogLevel
    from incoder_lsp.recording import Recorder

Options = dict[str, Any]
DEFAULTS: Options = {"model": None, "log_level": "warning"}


def quick_options(arguments: Sequence[str]) -> Options | None:
    """What typer would read from `serve [--stdio] [--model DIR]`; None for any other command line."""
    if arguments[:1] != ["serve"] or sys.stdin is None or sys.stdout is None:
        return None
    options, rest = dict(DEFAULTS), iter(arguments[1:])
    for argument in rest:
        if argument == "--model":
            options["model"] = next(rest, "-")
            if options["model"].startswith("-"):
                return None
        elif argument != "--stdio":
            return None
    return options


def serve_shared(options: Options, command: Sequence[str] = COMMAND) -> None:
    """Relay to the daemon and end with the session. Returns only where there is no way to a daemon, after one warning."""
    if sys.platform == "win32" or options["log_level"] == "trace":  # a session's source text is for nobody else's log
        return
    from incoder_lsp.daemon.client import attach
    from incoder_lsp.daemon.place import Unreachable
    from incoder_lsp.daemon.relay import Relay, say

    model = options["model"]
    own = {"folder": Path.cwd(), "user_file": user_file().absolute(), "data": data_folder().absolute()}
    places = {name: str(path) for name, path in own.items()}  # the daemon's may be others
    greeting = {**options, "model": model and str(Path(model).absolute()), **places, "backend_key": own_key()}
    try:
        daemon = attach(greeting, command)
    except Unreachable as error:
        say(f"no daemon, so this editor has a model of its own: {error}.")
        return
    relay = Relay(daemon, partial(attach, greeting, command), sys.stdin.fileno(), sys.stdout.fileno())
    leave(relay.run)


def serve_alone(
    source: Source = None,
    level: LogLevel | None = None,
    address: tuple[str, int] | None = None,
    listener: socket.socket | None = None,
    recorder: Recorder | None = None,
) -> NoReturn:
    """One editor, one process: over stdio, or over TCP on `address`; HTTP on `listener` beside it. Raises OSError if it cannot
    listen on `address`."""
    from incoder_lsp import logs, transport
    from incoder_lsp.learning import Learning
    from incoder_lsp.server import Server  # takes a second

    logs.configure(level or logs.LogLevel.warning)
    server, beside = Server(source, user_file=user_file(), learned=Learning(data_folder())), None
    server.protocol.recorder = recorder
    if listener is not None:
        from incoder_lsp.http.server import serving_http

        beside = serving_http(server.worker, listener)
    if address is None:
        leave(partial(transport.serve_stdio, server.protocol, beside))
    leave(partial(transport.serve_tcp, server.protocol, *address, beside))


def leave(session: Callable[[], int]) -> NoReturn:
    """Run a session and leave with its exit code, at once: a model that is thinking on its thread would hold up an orderly end."""
    try:
        code = session()
    except KeyboardInterrupt:
        code = 130  # 128 + SIGINT
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(code)
