"""`incoder-lsp check`: one look at all that a suggestion needs, from Python to the editor; each finding says what to do about it.

`findings` asks every probe; a probe that fails itself is a finding, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from incoder_lsp.doctor import installed, model, timing, user
from incoder_lsp.doctor.finding import Finding, Level
from incoder_lsp.logs import describe

__all__ = ["Finding", "findings"]

Probe = Callable[
    ["Path | None", "Path | None"], Iterator[Finding]
]  # a model directory and a file, if the user named any
PROBES: dict[str, Probe] = {
    "Python": installed.python,
    "incoder-lsp": installed.package,
    "Engine": installed.engine,
    "Memory": installed.memory,
    "Settings": user.settings,
    "File": user.file,
    "Daemon": user.daemon,
    "Editors": user.editors,
    "Model": model.model,
    "Completion": timing.completion,
}


def findings(directory: Path | None, file: Path | None) -> Iterator[Finding]:
    """One after the other, as they are found."""
    for name in PROBES:
        yield from _asked(name, directory, file)


def _asked(name: str, directory: Path | None, file: Path | None) -> Iterator[Finding]:
    try:
        yield from PROBES[name](directory, file)
    except Exception as error:
        yield Finding(name, Level.fail, f"could not be looked at ({describe(error)})", "Please report this.")
