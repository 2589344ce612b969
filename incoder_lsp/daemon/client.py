"""The way to the daemon: a greeting goes in, a connection comes out, and a daemon is started if there is none.

The first line on a connection is a JSON object: what is wanted ("session", "status" or "stop"), and for a session the
command line's options. The daemon answers with one line, its status; after that a session is the language server protocol.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from incoder_lsp.daemon.place import Unreachable, log_path, socket_path

COMMAND = (sys.executable, "-m", "incoder_lsp", "daemon", "--socket")
ATTEMPTS = 3  # a daemon may be about to leave when we come
PATIENCE = 30.0  # seconds; a loaded machine takes a while to import a server

NOBODY_THERE = (FileNotFoundError, ConnectionError)


def attach(options: dict[str, Any], command: Sequence[str] = COMMAND) -> tuple[socket.socket, int]:
    """A session's connection to the daemon, and the daemon's process. Where there is none it is started, by `command` and the
    socket's path.

    Raises Unreachable.
    """
    path = socket_path()
    greeting = {"want": "session", **options}
    try:
        for _ in range(ATTEMPTS):
            with suppress(*NOBODY_THERE):
                return _greet_for_a_session(path, greeting)
            _start(path, command)
        return _greet_for_a_session(path, greeting)
    except (OSError, ValueError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreachable(f"it does not answer ({reason.lower()}); see {log_path(path)}") from error


def _greet_for_a_session(path: Path, greeting: dict[str, Any]) -> tuple[socket.socket, int]:
    connection, status = greet(path, greeting)
    return connection, int(status["pid"])


def greet(path: Path, greeting: dict[str, Any]) -> tuple[socket.socket, dict[str, Any]]:
    """The connection and the daemon's status. Raises one of NOBODY_THERE, another OSError, or ValueError."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
        connection.settimeout(PATIENCE)
        connection.sendall(json.dumps(greeting).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):  # nothing follows it until we say more
            data = connection.recv(1 << 16)
            if not data:
                raise ConnectionResetError("the daemon left")
            line += data
        connection.settimeout(None)
        return connection, json.loads(line)
    except BaseException:
        connection.close()
        raise


def _start(path: Path, command: Sequence[str]) -> None:
    """Returns when a daemon listens at `path`, ours or one that was quicker. Raises Unreachable."""
    import subprocess  # here, because most relays find a daemon

    # Our own folder first on the import path, not the editor's: a project's `json.py` must not become the daemon's.
    home = Path(__file__).resolve().parents[2]
    environment = dict(os.environ)
    if places := environment.get("PYTHONPATH"):
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(place).absolute()) for place in places.split(os.pathsep))
    try:
        done = subprocess.run(
            [*command, str(path)],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # what an editor's end does to its process group is not for us
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreachable("it takes too long to start") from error
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise Unreachable(last.removeprefix("incoder-lsp: ").rstrip(".") or f"it ended with code {done.returncode}")
