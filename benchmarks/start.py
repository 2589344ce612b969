"""What it takes to be there: from the start of `incoder-lsp serve` to its first suggestion, in memory, and on disk.

    python benchmarks/start.py [--model DIR] [--windows N] [--rounds N] [--install] [--json OUT] [--picture OUT.png]

    cold daemon     no daemon is running, so `serve` starts it, and it loads the model; files are in the page cache
    warm daemon     another window is open already
    no daemon       serve --no-daemon, or a `serve` that knows no daemon: one process for one editor

Each takes its turn in each round. "initialize" is from the start of the process to its first reply, "ready" to the end of the
progress that it reports, "suggestion" to the first one for an open file; the model may have none for it, then to that answer.
Memory is that of all processes behind the windows, each with an open file and one question answered (PSS).

--install makes a fresh virtual environment, installs this checkout into it with pip, without extras, and weighs each package.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Annotated, Any

import machine
import typer
from report import draw_bars, number, show, write_json
from suggesters import LanguageServer

from incoder_model.checkpoint import BUNDLED

ROOT = Path(__file__).parents[1]
LEFT = "import json\n\n\ndef load_items(path):\n    with open(path) as file:\n        return json."
MEGABYTE = 1_000_000
MOMENTS = ("initialize", "ready", "suggestion")


def main(
    model: Annotated[Path, typer.Option()] = BUNDLED,
    windows: Annotated[int, typer.Option(min=1)] = 5,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    install: Annotated[
        bool, typer.Option("--install", help="Also measure a fresh install, from the registry.")
    ] = False,
    as_json: Annotated[Path | None, typer.Option("--json")] = None,
    picture: Annotated[Path | None, typer.Option()] = None,
) -> None:
    moments, memory = asyncio.run(measure(model, windows, rounds))
    result: dict[str, Any] = {
        "machine": machine.describe(),
        "model": str(model),
        "rounds": rounds,
        "start_ms": moments,
        "memory_mb": memory,
        "install_mb": installed() if install else None,
    }
    medians = {
        kind: {moment: statistics.median(row[moment] for row in rows) for moment in MOMENTS}
        for kind, rows in moments.items()
    }
    show(
        f"from the start of serve, medians of {rounds}",
        {kind: [number(row[moment]) for moment in MOMENTS] for kind, row in medians.items()},
        ["", *(f"{moment} ms" for moment in MOMENTS)],
    )
    show(
        "memory",
        {kind: [number(mb) for mb in row.values()] for kind, row in memory.items()},
        ["", *map(_windows, (1, windows))],
    )
    if result["install_mb"]:
        show("installed", {name: [number(mb)] for name, mb in result["install_mb"].items()}, ["package", "MB"])
    if as_json:
        write_json(as_json, result)
    if picture:
        draw_bars(picture, {moment: {kind: row[moment] for kind, row in medians.items()} for moment in MOMENTS}, "ms")


async def measure(
    model: Path, windows: int, rounds: int
) -> tuple[dict[str, list[dict[str, float]]], dict[str, dict[str, float]]]:
    """Per kind of start, the milliseconds of each round; and the MB of one window and of so many."""
    plain = [sys.executable, "-m", "incoder_lsp", "serve", "--model", str(model)]
    daemon = "--no-daemon" in subprocess.run([*plain, "--help"], capture_output=True, text=True, check=True).stdout
    alone = [*plain, "--no-daemon"] if daemon else plain
    kinds = ["cold daemon", "warm daemon", "no daemon"] if daemon else ["no daemon"]
    moments: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    memory: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        if daemon:
            async with Household(plain) as household:
                moments["cold daemon"].append(await household.open_window())
                if len(household.pids()) < 2:
                    raise SystemExit("serve has served alone instead of starting its daemon; its log says why")
                moments["warm daemon"].append(await household.open_window())
        async with Household(alone) as household:
            moments["no daemon"].append(await household.open_window())
    for kind, command in {"daemon": plain, "no daemon": alone}.items() if daemon else [("no daemon", alone)]:
        async with Household(command) as household:
            await household.open_window()
            memory[kind] = {_windows(1): household.memory_mb()}
            for _ in range(windows - 1):
                await household.open_window()
            memory[kind][_windows(windows)] = household.memory_mb()
    return moments, memory


class Household:
    """Windows that share whatever they share, apart from everybody else's; all of it ends with the block."""

    def __init__(self, command: list[str]):
        self._command = command
        self._runtime = tempfile.TemporaryDirectory()
        self._windows: list[LanguageServer] = []

    async def __aenter__(self) -> Household:
        return self

    async def __aexit__(self, *_: object) -> None:
        for window in self._windows:
            await window.close()
        for window in self._windows:
            window.marked.end()  # the daemon, which outlives its windows
        self._runtime.cleanup()

    async def open_window(self) -> dict[str, float]:
        """The milliseconds from its start to each of MOMENTS."""
        window = LanguageServer(
            self._command, {"debounceMs": 0, "statistics": False}, {"XDG_RUNTIME_DIR": self._runtime.name}
        )
        self._windows.append(window)
        started = time.perf_counter()
        times = []
        await window.initialize()
        times.append(time.perf_counter())
        window.open("items.py", LEFT + "\n")
        await window.ready()
        times.append(time.perf_counter())
        await window.suggestion({"line": LEFT.count("\n"), "character": len(LEFT.rpartition("\n")[2])}, invoked=True)
        times.append(time.perf_counter())
        return {moment: (at - started) * 1000 for moment, at in zip(MOMENTS, times, strict=True)}

    def pids(self) -> set[int]:
        return {pid for window in self._windows for pid in window.marked.pids()}

    def memory_mb(self) -> float:
        return machine.memory_mb(self.pids())


def installed() -> dict[str, float]:
    """The MB of every package of a fresh install without extras, largest first, and their sum with and without our model."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        own = {distribution.name for distribution in _distributions(python)}  # pip, of which people have their own
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-compile", str(ROOT)], check=True)
        sizes = {one.name: _bytes(one) / MEGABYTE for one in _distributions(python) if one.name not in own}
    largest_first = dict(sorted(sizes.items(), key=lambda item: -item[1]))
    model = sum(file.stat().st_size for file in BUNDLED.iterdir()) / MEGABYTE
    total = sum(sizes.values())
    return {**largest_first, "all": total, "all without the model": total - model}


def _distributions(python: Path) -> list[importlib.metadata.Distribution]:
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.strip()
    return list(importlib.metadata.distributions(path=[folder]))


def _bytes(distribution: importlib.metadata.Distribution) -> int:
    paths = [Path(str(file.locate())) for file in distribution.files or []]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _windows(count: int) -> str:
    return f"{count} window{'s' * (count > 1)}, MB"


if __name__ == "__main__":
    typer.run(main)
