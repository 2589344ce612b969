"""What a figure was measured on, and what processes take: read from Linux' /proc.

Processes are found by a mark in their environment, which their children inherit, so that a daemon that left its parent is
counted, and ended, like any other.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import signal
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")  # of a processor's time in a second
MARK = "INCODER_BENCHMARK"
SAID_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "asimd", "i8mm")
PACKAGES = ("onnxruntime", "torch", "transformers", "ctranslate2", "xllamacpp", "tokenizers", "numpy", "pygls")


def describe() -> dict[str, Any]:
    """The processor, what it can do and how busy it is now; the versions of what is measured."""
    cpuinfo = (PROC / "cpuinfo").read_text()
    lines = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    said = {key.strip(): value.strip() for key, value in lines.items()}
    features = said.get("flags", said.get("Features", "")).split()
    return {
        "processor": said.get("model name", platform.processor() or platform.machine()),
        "features": [feature for feature in SAID_FEATURES if feature in features],
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def memory_mb(pids: Iterable[int]) -> float:
    """The processes' resident memory, a shared page counted once in sum (PSS)."""
    return sum(_pss_kb(pid) for pid in pids) / 1024


def cpu_seconds(pids: Iterable[int]) -> float:
    return sum(_ticks(pid) for pid in pids) / TICKS


def _pss_kb(pid: int) -> int:
    try:
        rollup = (PROC / str(pid) / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def _ticks(pid: int) -> int:
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])  # utime and stime, counted from the state


class Marked:
    """The processes that were started with `environment`, and all that come from them."""

    def __init__(self, environment: Mapping[str, str] | None = None):
        self.environment = {**(environment or {}), MARK: uuid.uuid4().hex}
        self._sign = f"{MARK}={self.environment[MARK]}".encode()

    def pids(self) -> list[int]:
        return [int(folder.name) for folder in PROC.iterdir() if folder.name.isdigit() and self._bears(folder)]

    def end(self) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _bears(self, folder: Path) -> bool:
        try:
            return self._sign in (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # gone, or another user's
            return False
