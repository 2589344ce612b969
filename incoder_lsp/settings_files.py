"""Settings in files: the user's own, and one in a workspace folder for the files below it. A path comes in, values go out.

A workspace's file may have come with somebody else's code. It can make us quieter, but it neither chooses the model or the server
that the code is sent to, nor has it a word against what its user keeps silent. The relay imports this room: nothing slow here.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incoder_lsp.folders import users_folder

if TYPE_CHECKING:
    from incoder_lsp.settings import Settings, Values

WORKSPACE_FILE = ".incoder.toml"
LARGEST = 100_000  # bytes

NOT_FOR_WORKSPACES = ("model", "backend", "command")
QUIETER: dict[str, Callable[[Any, Any], Any]] = {  # what a workspace's word is joined to the user's by
    "enabled": lambda users, its: users and its,
    "gitignored": lambda users, its: users and its,
    "off_languages": lambda users, its: (*users, *its),
    "off_files": lambda users, its: (*users, *its),
    "mode": lambda users, its: max(users, its, key=("automatic", "subtle", "manual").index),
    "statistics": lambda users, its: users and its,
    "neighbours_to_backend": lambda users, its: users and its,
}


class Unreadable(Exception):  # noqa: N818 - what it says is said to the user, and the session goes on
    """A file that is there and makes no sense; the message is a sentence."""


def user_file() -> Path:
    """Where the user's own settings are, whether or not there are any."""
    return users_folder("config") / "config.toml"


def read_user_file(file: Path) -> tuple[Values, list[str]]:
    """What it sets, and what is wrong with the rest, in sentences; nothing where there is no file. Raises Unreadable."""
    from incoder_lsp.settings import read_values

    return read_values(_read(file), file)


def read_workspace_file(file: Path) -> tuple[Values, list[str]]:
    """The same without what a workspace has no say in. Raises Unreadable."""
    from incoder_lsp.settings import read_values

    data = _read(file)
    refused = [name for name in NOT_FOR_WORKSPACES if name in data]
    values, problems = read_values({name: value for name, value in data.items() if name not in refused}, file)
    return values, [*(f"{file}: A workspace may not set {name}; it came with its code." for name in refused), *problems]


def below(settings: Settings, values: Values) -> Settings:
    """The user's settings as they hold in a workspace whose file says `values`."""
    joined = {
        name: QUIETER[name](getattr(settings, name), value) if name in QUIETER else value
        for name, value in values.items()
    }
    return dataclasses.replace(settings, **joined)


def _read(file: Path) -> dict[str, Any]:
    """The settings, bare or in a table `[incoder]`."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pyright: ignore[reportMissingImports]

    try:
        with file.open("rb") as source:
            text = source.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}.") from error
    if len(text) > LARGEST:
        raise Unreadable(f"{file} is too large for settings.")
    try:
        data = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{file} is not TOML: {_reason(error)}.") from error
    inner = data.get("incoder", data)
    return inner if isinstance(inner, dict) else data


def _reason(error: Exception) -> str:
    """The library's own words hold a place and no text of the file."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not in UTF-8"
    return (str(error) or "it is nested too deeply").rstrip(".")
