"""Where a user's daemon is found: a socket in a folder that nobody else may enter, with a lock and a log beside it.

The folder is `incoder-lsp` in $XDG_RUNTIME_DIR, or `incoder-lsp-UID` in the folder for temporary files. The name of the
socket stands for one install as it is now: the Python it belongs to, and size and time of each of our source files. So an
upgraded or a second install never talks to a daemon that runs other code. Nothing here is imported that starts slowly.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from importlib.machinery import PathFinder
from pathlib import Path

PACKAGES = ("incoder_lsp", "incoder_model")


class Unreachable(Exception):  # noqa: N818 - the caller has another way
    """There is no daemon and none can be started; the message is a clause for the user that says why."""


def socket_path() -> Path:
    """The socket of this install's daemon, whether or not one listens; its folder exists. Raises Unreachable."""
    return _private(_folder()) / f"{zlib.crc32(_install().encode()):08x}.sock"


def lock_path(socket: Path) -> Path:
    """Who holds this lock is the daemon of that socket."""
    return socket.with_suffix(".lock")


def log_path(socket: Path) -> Path:
    return socket.with_suffix(".log")


def _folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if (
        runtime and Path(runtime).is_dir() and Path(runtime).stat().st_uid == os.getuid()
    ):  # sudo may keep another user's
        return Path(runtime, "incoder-lsp")
    return Path(os.environ.get("TMPDIR") or "/tmp", f"incoder-lsp-{os.getuid()}")


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise Unreachable(f"the folder {folder} cannot be made ({error.strerror})") from error
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise Unreachable(f"{folder} is no folder; remove it")
    if found.st_uid != os.getuid():
        raise Unreachable(f"the folder {folder} belongs to somebody else; set XDG_RUNTIME_DIR to a folder of your own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Unreachable(f"others may enter the folder {folder}; remove it, or run chmod 700 on it")
    return folder


def _install() -> str:
    parts = [sys.prefix, sys.version]
    for package in PACKAGES:
        spec = PathFinder.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            for source in sorted(Path(folder).rglob("*.py")):
                found = source.stat()
                parts.append(f"{source} {found.st_size} {found.st_mtime_ns}")
    return "\n".join(parts)
