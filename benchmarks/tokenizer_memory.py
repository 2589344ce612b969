"""Memory and time of tokenizer training against the size of its sample, beside what the plan foretells.

    python benchmarks/tokenizer_memory.py [FOLDER ...] [--megabytes 5,10,20,40] [--vocab-size 8192] [--ending .py]

Each size is trained in a process of its own, whole and with rare lines split, on the files of the folders (by default what
this Python has installed). "bytes/byte" is what a byte of the sample took above the process itself.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from incoder_train.tokens.sampling import measure, plan_sample
from incoder_train.tokens.vocabulary import train_tokenizer

INSTALLED = [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib")]
LARGEST_FILE = 1_000_000


def documents(folders: list[Path], ending: str) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for file in sorted(folder.rglob(f"*{ending}")):
            if file.is_file() and file.stat().st_size < LARGEST_FILE:
                yield ending, file.read_bytes().decode(errors="ignore")


def train_one(
    folders: list[Path], ending: str, megabytes: float, split_rare: bool, vocab_size: int
) -> dict[str, float]:
    """In this process: bytes at its peak, before and in the end, processor seconds of training, bytes of the sample."""
    before = _peak()
    languages = measure(documents(folders, ending))
    plan = plan_sample(languages, sample_bytes=int(megabytes * 1e6), split_rare=split_rare)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tokenizer.json"
        report = train_tokenizer(documents(folders, ending), plan, vocab_size=vocab_size, out=out)
    return {
        "sample": plan.sample_bytes,
        "before": before,
        "peak": _peak(),
        "seconds": time.process_time() - started,
        "planned": plan.memory,
        "planned_seconds": plan.seconds,
        "bytes_per_token": report.overall.bytes_per_token,
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(
    folders: Annotated[list[Path] | None, typer.Argument()] = None,
    megabytes: Annotated[str, typer.Option()] = "5,10,20,40",
    vocab_size: Annotated[int, typer.Option()] = 8192,
    ending: Annotated[str, typer.Option()] = ".py",
    one: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    places = folders or INSTALLED
    if one:
        size, split = json.loads(one)
        print(json.dumps(train_one(places, ending, size, split, vocab_size)))
        return
    print("sample MB  lines  peak MB  planned MB  bytes/byte  cpu s  planned s  bytes/token (held out)")
    for split in (False, True):
        for size in map(float, megabytes.split(",")):
            command = [sys.executable, __file__, *map(str, places), "--vocab-size", str(vocab_size), "--ending", ending]
            command += ["--one", json.dumps([size, split])]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"{found['sample'] / 1e6:9.1f}  {'split' if split else 'whole'}  {found['peak'] / 1e6:7,.0f}"
                f"  {found['planned'] / 1e6:10,.0f}  {(found['peak'] - found['before']) / found['sample']:10.1f}"
                f"  {found['seconds']:5.1f}  {found['planned_seconds']:9.1f}  {found['bytes_per_token']:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    typer.run(main)
