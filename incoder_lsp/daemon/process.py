"""How a process becomes the daemon: one lock, one socket, and a life in the background.

A socket's path comes in; what goes out is a process that listens there. It holds the lock beside the socket for as long as
it lives, so there is never a second one, and only who holds the lock touches the socket: one that was left by a daemon that
was killed is simply replaced. The starter returns when the socket listens, which is all that a relay has to wait for.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from incoder_lsp.daemon.place import lock_path, log_path

PATIENCE = 20.0  # seconds that the lock's holder has to listen
LOOK = 0.02  # seconds
BACKLOG = 128


def start_daemon(path: Path, foreground: bool = False) -> None:
    """Return when a daemon listens at `path`; in the foreground, be it. What is in the way is one sentence and exit code 1."""

    def serve(post: Post) -> None:
        from incoder_lsp.daemon import (
            sessions,
        )  # here, because it takes half a second and clients can connect meanwhile

        sessions.serve(post)

    try:
        become_daemon(path, serve, foreground)
    except OSError as error:
        reason = f"cannot listen at {path} ({error.strerror.lower()})" if error.strerror else str(error)
        sys.exit(f"incoder-lsp: {reason}.")


class Post:
    """The place where a daemon is found: its socket, listening, and the lock that makes it the only one."""

    def __init__(self, path: Path, lock: int, log: Path | None):
        self.log = log  # None is stderr
        self._path = path
        self._lock = lock
        self.listener = _listen(path)
        self._inode = path.stat().st_ino

    @property
    def held(self) -> bool:
        """Can clients still find us? Not if somebody cleared the folder, or another daemon came after that."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def leave(self) -> None:
        """From now on another daemon may come."""
        if self.held:
            self._path.unlink()
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


def become_daemon(path: Path, serve: Callable[[Post], None], foreground: bool = False) -> None:
    """Return when a daemon listens at `path`. In the daemon itself `serve` is called, and this never returns.

    Raises OSError.
    """
    lock = _lock(path)
    if lock is None:
        return
    post = Post(path, lock, None if foreground else log_path(path))
    if not foreground:
        if os.fork():
            return  # the lock stays with the child
        os.setsid()
        _let_go_of_the_terminal()
    os.chdir("/")  # the folder we were started in may be unmounted
    code = 1
    try:
        serve(post)
        code = 0
    except KeyboardInterrupt:
        code = 130
    finally:
        post.leave()
        os._exit(code)  # a model that is thinking on its thread would hold us up


def _lock(path: Path) -> int | None:
    """The lock's descriptor; None if a daemon listens already."""
    lock = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if _listens(path):
                os.close(lock)
                return None
        if time.monotonic() > deadline:
            raise TimeoutError(f"a process holds {lock_path(path)} and does not listen; end it")
        time.sleep(LOOK)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # left by one that was killed: we hold its lock
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # the socket has mode 0600 from its first moment
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    return listener


def _let_go_of_the_terminal() -> None:
    """Our starter waits for the end of our stderr, and whatever a library prints is for nobody."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
