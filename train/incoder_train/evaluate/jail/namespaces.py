"""What a program can see at all, where namespaces are allowed: no network, no processes but its own, and of the files only
what Python needs, to read.

A user namespace gives an ordinary user the right to make the others. In it the process is nobody. The mount namespace gets
a small root of its own, in memory, in which the readable paths appear under their names; the old root is let go. Network,
interprocess and process namespaces are empty ones. When the first process of the process namespace ends, the kernel kills
what else is in it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from incoder_train.evaluate.jail import kernel

_OWN = {
    "user": 0x10000000,
    "processes": 0x20000000,
    "network": 0x40000000,
    "mounts": 0x00020000,
    "interprocess": 0x08000000,
    "host name": 0x04000000,
}
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_NO_EXECUTION = 8  # where a mount has it, a namespace may not take it off
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_NOBODY = 65534


def enter(readable: Sequence[Path], root: Path, machine: str) -> None:
    """Go on in namespaces of one's own, with `readable` and nothing else, in an empty working directory.

    The process that calls this must have one thread. It stays outside as the parent of the one that returns, ends with it,
    and never returns itself. `root` is an empty folder to build on. Raises OSError, in either, where namespaces are forbidden;
    the process is of no use then."""
    user, group = os.geteuid(), os.getegid()
    kernel.call("unshare", sum(_OWN.values()))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} {group} 1", encoding="ascii")
    if child := os.fork():  # the process namespace begins with the child
        os.waitpid(child, 0)
        os._exit(0)
    kernel.prctl(kernel.PARENT_DEATH_SIGNAL, signal.SIGKILL)
    _mount(None, Path("/"), _RECURSIVE | _PRIVATE)
    _mount("tmpfs", root, _NO_SETUID | _NO_DEVICES, kind="tmpfs", options="size=1m,mode=755")
    (root / "empty").mkdir()
    for path in readable:
        place = root / path.relative_to("/")
        if path.is_dir():
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        _mount(str(path), place, _BIND | _RECURSIVE)
    for place, flags in _mounts_below(root):
        _mount(None, place, _REMOUNT | _BIND | _READ_ONLY | _NO_SETUID | _NO_DEVICES | flags)
    os.chdir(root)
    kernel.call("syscall", _PIVOT_ROOT[machine], b".", b".")
    kernel.call("umount2", b".", _DETACH)
    os.chdir("/empty")


def _mount(source: str | None, target: Path, flags: int, kind: str | None = None, options: str | None = None) -> None:
    texts = [None if one is None else os.fsencode(one) for one in (source, target, kind, options)]
    kernel.call("mount", *texts[:3], flags, texts[3])


def _mounts_below(root: Path) -> list[tuple[Path, int]]:
    """The mounts at or below `root`, with the flags that have to stay."""
    found = []
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        _, _, _, _, place, options, *_ = line.split()
        path = Path(os.fsdecode(place.decode("unicode_escape").encode("latin-1")))  # a space stands there as \040
        if path.is_relative_to(root):
            found.append((path, _NO_EXECUTION if b"noexec" in options.split(b",") else 0))
    return found
