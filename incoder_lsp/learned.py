"""What was learned of which folder: the folder for a user's data and one of a workspace in, the model adapted to it out.

    DATA/models/KEY/learned.json    which folder, which model, when, how much better; written last, and nothing else counts
    DATA/models/KEY/model-NUMBER/   a model directory
    DATA/models/KEY/learning-PID/   what a process is making at the moment

The models have read private code: the folders are for their user alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from incoder_lsp.folders import users_folder
from incoder_lsp.parent import is_alive

RECORD, MODEL, JUDGEMENT = "learned.json", "model", "judgement.json"
LEARNING = "learning-"
_NAME = re.compile(r"model-\d+")


class Busy(Exception):  # noqa: N818 - it passes
    """The folder is being learned already; where, in one sentence for the user."""


def data_folder() -> Path:
    """Where the user's own data is, whether or not there is any."""
    return users_folder("data")


def learned_model(data: Path, folder: Path) -> Path | None:
    """The model directory that completes in `folder`; None where nothing was learned of it, or what was is gone."""
    home = _home(data, folder)
    try:
        record = json.loads((home / RECORD).read_bytes())
        name = record["model"]
        if record["folder"] != str(folder.resolve()) or not _NAME.fullmatch(name):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return home / name if (home / name).is_dir() else None


@contextlib.contextmanager
def learning(data: Path, folder: Path) -> Iterator[Path]:
    """An empty folder to learn in, gone afterwards. Raises Busy where this or another process has one for the same folder,
    and OSError."""
    home = _home(data, folder)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for other in home.glob(f"{LEARNING}*"):
        process = int(other.name.removeprefix(LEARNING))
        if process == os.getpid() or is_alive(process):
            raise Busy(f"{folder} is being learned already; if it is not, remove {other}.")
        shutil.rmtree(other, ignore_errors=True)  # of a process that was killed
    place = home / f"{LEARNING}{os.getpid()}"
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def keep(data: Path, folder: Path, run: Path) -> dict[str, Any]:
    """Take the model that a fine-tuning has made in `run` for that of `folder`, in place of the one before; its judgement is
    returned. Raises OSError and ValueError."""
    home = _home(data, folder)
    judgement = json.loads((run / JUDGEMENT).read_bytes())
    model = home / f"model-{time.time_ns()}"
    (run / MODEL).rename(model)
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    record = {"folder": str(folder.resolve()), "model": model.name, "when": when, "judgement": judgement}
    unfinished = home / f".{RECORD}.unfinished"
    unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(home / RECORD)
    _remove_models(home, but=model)
    return judgement


def forget(data: Path, folder: Path) -> bool:
    """Remove what was learned of `folder`; whether there was anything."""
    home, known = _home(data, folder), learned_model(data, folder) is not None
    (home / RECORD).unlink(missing_ok=True)
    _remove_models(home)
    return known


def _remove_models(home: Path, but: Path | None = None) -> None:
    for model in home.glob("model-*"):
        if model != but:
            shutil.rmtree(model, ignore_errors=True)  # Windows keeps what another session has open


def _home(data: Path, folder: Path) -> Path:
    return data / "models" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
