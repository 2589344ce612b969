"""What is installed here: Python, this package, what runs a model, and the memory there is for it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import incoder_lsp
from incoder_lsp import version
from incoder_lsp.doctor.finding import Finding, Level

OLDEST = (3, 10)
LITTLE = 300 << 20  # bytes that should be free for the bundled model
MEMORY = Path("/proc/meminfo")  # Linux


def python(*_: object) -> Iterator[Finding]:
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST:
        yield Finding("Python", Level.fail, found, "Install Python 3.10 or newer, and incoder-lsp with it.")
    else:
        yield Finding("Python", Level.ok, found)


def package(*_: object) -> Iterator[Finding]:
    yield Finding("incoder-lsp", Level.ok, f"{version()} at {Path(incoder_lsp.__file__).parent}")


def engine(*_: object) -> Iterator[Finding]:
    try:
        from incoder_model.processor import cores, exact_products
    except ImportError as error:
        yield Finding(
            "Engine", Level.fail, f"cannot be loaded: {error}", "Run: pip install --force-reinstall onnxruntime"
        )
        return
    torch = f", torch {importlib.metadata.version('torch')}" if importlib.util.find_spec("torch") else ""
    products = "multiplies bytes exactly (VNNI or the like)" if exact_products() else "has no exact products of bytes"
    machine = f"{cores()} cores, {platform.machine()}, {products}"
    yield Finding("Engine", Level.ok, f"onnxruntime {importlib.metadata.version('onnxruntime')}{torch}; {machine}")


def memory(*_: object) -> Iterator[Finding]:
    try:
        lines = dict(line.split(":") for line in MEMORY.read_text().splitlines())
        total, free = (int(lines[name].split()[0]) << 10 for name in ("MemTotal", "MemAvailable"))
    except (OSError, ValueError, KeyError):
        return  # other systems tell it in other ways
    found = f"{free >> 20:,} MB free of {total >> 20:,} MB"
    if free < LITTLE:
        yield Finding(
            "Memory", Level.warn, found, "Close something: with so little, loading a model may be slow or fail."
        )
    else:
        yield Finding("Memory", Level.ok, found)
