"""What is the user's: the settings files, the file in question, the daemon, and the editors' clients."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from incoder_lsp import version
from incoder_lsp.configuration import Configuration
from incoder_lsp.doctor.finding import Finding, Level
from incoder_lsp.documents import Document
from incoder_lsp.question import Question
from incoder_lsp.reasons import reason_of
from incoder_lsp.settings_files import WORKSPACE_FILE, Unreadable, read_user_file, read_workspace_file, user_file
from incoder_lsp.silence import reason_for_silence

VSCODE_FOLDERS = (".vscode", ".vscode-insiders", ".vscode-oss", ".vscode-server", ".cursor", ".windsurf")
EXTENSION = "incoder.incoder-*"  # publisher, name and version
NEOVIM_PLACES = (
    "pack/*/start/*",
    "pack/*/opt/*",
    "lazy/*",
    "plugged/*",
    "site/pack/*/start/*",
    "site/pack/*/opt/*",
    "",
)
NEOVIM_CLIENT = "lua/incoder/init.lua"


def workspace_of(file: Path | None) -> Path:
    """The folder that an editor would most likely have opened."""
    here = file.resolve().parent if file else Path.cwd()
    marked = (
        folder for folder in (here, *here.parents) if (folder / WORKSPACE_FILE).exists() or (folder / ".git").exists()
    )
    return next(marked, here)


def configured(file: Path | None) -> Configuration:
    """As a session would have it in that folder, without what only an editor knows."""
    configuration = Configuration(user_file(), lambda _: None, lambda _: None)
    configuration.start(None, [workspace_of(file).as_uri()])
    return configuration


def settings(_: Path | None, file: Path | None) -> Iterator[Finding]:
    readers = {user_file(): read_user_file, workspace_of(file) / WORKSPACE_FILE: read_workspace_file}
    for path, read in readers.items():
        try:
            values, problems = read(path)
        except Unreadable as error:
            yield Finding("Settings", Level.fail, str(error), "Mend the file; until then nothing in it takes effect.")
            continue
        for problem in problems:
            yield Finding(
                "Settings", Level.warn, problem, "Correct it; `incoder-lsp settings` lists all that there are."
            )
        if not problems:
            names = ", ".join(sorted(values)) or "nothing"
            yield Finding("Settings", Level.ok, f"{path} sets {names}" if path.exists() else f"{path} is not there")
    if not configured(file).settings_of((workspace_of(file) / "any").as_uri()).enabled:
        yield Finding("Settings", Level.warn, "suggestions are switched off", reason_of("switched off").message)


def file(_: Path | None, file: Path | None) -> Iterator[Finding]:
    if file is None:
        return
    try:
        text = file.read_bytes().decode(errors="replace")
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        yield Finding("File", Level.fail, f"{file} cannot be read: {reason}", "Name a file that you can read.")
        return
    known, uri = configured(file), file.resolve().as_uri()
    question = Question(
        uri,
        str(file.resolve()),
        text,
        len(text),
        Document(text).eol,
        False,
        known.settings_of(uri),
        place=known.place_of(uri),
        ignored=known.is_ignored(uri),
    )
    if why := reason_for_silence(question):
        yield Finding("File", Level.warn, f"{file}: {why}", reason_of(why).message)
    else:
        yield Finding("File", Level.ok, f"nothing keeps suggestions away from {file}")


def daemon(*_: object) -> Iterator[Finding]:
    if sys.platform == "win32":
        return
    from incoder_lsp.daemon.client import NOBODY_THERE, greet
    from incoder_lsp.daemon.place import Unreachable, log_path, socket_path

    try:
        path = socket_path()
        connection, status = greet(path, {"want": "status"})
        connection.close()
    except NOBODY_THERE:
        yield Finding("Daemon", Level.ok, "none is running; the first editor starts one")
        return
    except Unreachable as error:
        yield Finding("Daemon", Level.warn, str(error), "Until then each editor loads a model of its own.")
        return
    except (OSError, ValueError) as error:
        yield Finding("Daemon", Level.fail, f"it does not answer: {error}", "Run: incoder-lsp daemon --stop")
        return
    models = ", ".join(status["models"]) or "no model"
    found = f"process {status['pid']}, {status['sessions']} editors, {models}, log: {log_path(path)}"
    if status["version"] != version():
        yield Finding(
            "Daemon", Level.warn, f"{found}, of version {status['version']}", "Run: incoder-lsp daemon --stop"
        )
    else:
        yield Finding("Daemon", Level.ok, found)


def editors(*_: object) -> Iterator[Finding]:
    home, found = Path.home(), []
    for folder in VSCODE_FOLDERS:
        found += [str(path) for path in sorted((home / folder / "extensions").glob(EXTENSION))]
    base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "nvim"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "nvim"
    for root in (base, config):
        for place in NEOVIM_PLACES:
            found += [str(path.parents[2]) for path in sorted(root.glob(f"{place}/{NEOVIM_CLIENT}".lstrip("/")))]
    if found:
        yield Finding("Editors", Level.ok, f"clients: {', '.join(found)}")
        return
    seen = [name for name in ("code", "codium", "cursor", "nvim") if shutil.which(name)]
    there = f"; there are {', '.join(seen)}" if seen else ""
    advice = (
        "If your editor has no client yet, see docs/clients.md; any client of the language server protocol will do."
    )
    yield Finding("Editors", Level.warn, f"no client was found where VS Code and Neovim keep them{there}", advice)
