"""What processes can be seen doing from outside, by way of /proc: their memory, their sockets, and which ones there are.

A server is known by a word in its environment, which the processes it starts inherit, daemons included. Linux only:
elsewhere `supported` is false and the checks that need it say so.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from pathlib import Path

supported = sys.platform == "linux" and Path("/proc/self/smaps_rollup").exists()
LOCAL_FAMILIES = ("unix", "netlink", "packet")  # tables of /proc/PID/net with sockets that reach nobody else


def marked(word: str) -> list[int]:
    """The living processes that have `word` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if word.encode() in (entry / "environ").read_bytes() and _state(int(entry.name)) != "Z":
                    found.append(int(entry.name))
    return found


def memory(processes: list[int]) -> int:
    """Bytes they hold in memory; what several processes share counts once."""
    return _kilobytes(processes, "Pss|SwapPss") * 1024


def own_memory(processes: list[int]) -> int:
    """Bytes that are no file's: what grows where something leaks, and does not where another process maps the same library."""
    return _kilobytes(processes, "Anonymous|Swap") * 1024


def network_sockets(processes: list[int]) -> list[str]:
    """One phrase for each socket they hold that is not of this machine's own kinds (unix, netlink, packet)."""
    found = []
    for process in processes:
        with contextlib.suppress(OSError):
            inodes = {int(n) for link in _descriptors(process) for n in re.findall(r"^socket:\[(\d+)\]$", link)}
            if inodes:
                net = Path(f"/proc/{process}/net")
                local = {int(n) for name in LOCAL_FAMILIES for n in re.findall(r"\b\d+\b", _read(net / name))}
                found += [f"socket {inode} of process {process}" for inode in sorted(inodes - local)]
    return found


def end(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


def _kilobytes(processes: list[int], kinds: str) -> int:
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            total += sum(int(size) for size in re.findall(rf"^(?:{kinds}): +(\d+) kB", rollup, re.M))
    return total


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def _descriptors(process: int) -> list[str]:
    links = []
    for link in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(link.readlink()))
    return links


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
