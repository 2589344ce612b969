"""Where a user's files of ours are on this platform, by what they are for: settings, state, data. None need exist."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

For = Literal["config", "state", "data"]

# What moves it everywhere; then where it is on Windows, by a variable and without it, and on other systems but the Mac.
PLACES: dict[For, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    "config": ("XDG_CONFIG_HOME", "APPDATA", ("AppData", "Roaming"), (".config",)),
    "state": ("XDG_STATE_HOME", "LOCALAPPDATA", ("AppData", "Local"), (".local", "state")),
    "data": ("XDG_DATA_HOME", "LOCALAPPDATA", ("AppData", "Local"), (".local", "share")),
}


def users_folder(what: For) -> Path:
    everywhere, windows, without, elsewhere = PLACES[what]
    if base := os.environ.get(everywhere):
        folder = Path(base)
    elif sys.platform == "win32":
        folder = Path(os.environ.get(windows) or Path.home().joinpath(*without))
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path.home().joinpath(*elsewhere)
    return folder / "incoder"
