"""Whose word about a setting counts: what users and editors say comes in, the Settings of a file go out.

The defaults, then the user's file, then the editor, then the file in the workspace folder; each is laid over those before. The
editor speaks in three ways: when the session starts, when it is asked (for each folder), and unasked; the later word counts, and
where it is asked again because everything may have changed, what it had said unasked before no longer does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pygls.uris import to_fs_path

from incoder_lsp.ignored import is_ignored
from incoder_lsp.settings import Settings, Values, read_values
from incoder_lsp.settings_files import WORKSPACE_FILE, Unreadable, below, read_user_file, read_workspace_file

Say = Callable[[str], None]


class Configuration:
    """Of one session. note: for the editor's log, what is wrong with settings; alarm: for the user, once, that a file makes
    no sense. Folders are known by their URIs, as the editor writes them."""

    def __init__(self, user_file: Path | None, note: Say, alarm: Say):
        self.user_file = user_file
        self._note, self._alarm = note, alarm
        self._started: Values = {}
        self._pushed: Values = {}
        self._asked: dict[str | None, Values] = {}  # by folder
        self._folders: dict[str, Path] = {}
        self._files: dict[Path, Values] = {}
        self._seen: dict[Path, tuple[int, int] | None] = {}  # time and size of each file as it was read
        self._broken: set[Path] = set()
        self._settings: dict[str | None, Settings] = {}  # by folder, what was worked out
        self._ignored: dict[Path, bool] = {}  # files that were asked about

    # --- what comes out ------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """Of the session as a whole, and of files outside of its folders."""
        return self._of(None)

    @property
    def folders(self) -> list[str]:
        return [*self._folders]

    def settings_of(self, uri: str) -> Settings:
        return self._of(self._folder_of(_path(uri)))

    def place_of(self, uri: str) -> str:
        """A document's path from its workspace folder on, or the whole path without its root, with slashes."""
        path = _path(uri)
        if path is None:
            return uri.partition(":")[2].lstrip("/")
        folder = self._folder_of(path)
        return path.relative_to(self._folders[folder] if folder else path.anchor).as_posix()

    def is_ignored(self, uri: str) -> bool:
        """By git. It is found out once for each file, until `look`."""
        path = _path(uri)
        if path is None:
            return False
        if path not in self._ignored:
            folder = self._folder_of(path)
            self._ignored[path] = is_ignored(path, self._folders[folder] if folder else None)
        return self._ignored[path]

    # --- what goes in --------------------------------------------------------------------------------------------------

    def start(self, options: Any, folders: Iterable[str]) -> None:
        """`initialize`: its options and the workspace's folders."""
        self._started = self._read(options)
        self.change_folders(folders, ())

    def change_folders(self, added: Iterable[str], removed: Iterable[str]) -> None:
        for uri in removed:
            self._folders.pop(uri, None)
        self._folders |= {uri: path for uri in added if (path := _path(uri))}
        self.look()
        self._settings.clear()

    def push(self, data: Any) -> None:
        """What the editor says unasked is added to what it said before."""
        self._pushed = {**self._pushed, **self._read(data)}
        self._settings.clear()

    def asking(self) -> Callable[[dict[str | None, Any]], None]:
        """The editor is about to be asked: what is to be done with its answers, None being the whole session's. It may push in
        the meantime, and that is the later word."""
        before = self._pushed

        def answered(answers: dict[str | None, Any]) -> None:
            said = {
                folder: self._read(data, told=folder is None) for folder, data in answers.items() if data is not None
            }
            if said:
                self._asked = said
                self._pushed = {} if self._pushed is before else self._pushed
                self._settings.clear()

        return answered

    def look(self) -> bool:
        """Read what has changed on disk. Returns whether settings may have changed."""
        self._ignored.clear()
        files = {folder / WORKSPACE_FILE: read_workspace_file for folder in self._folders.values()}
        if self.user_file:
            files[self.user_file] = read_user_file
        changed = False
        for file, read in files.items():
            stamp = _stamp(file)
            if self._seen.get(file) == stamp:
                continue
            self._seen[file], changed = stamp, True
            self._read_file(file, read)
        if changed:
            self._settings.clear()
        return changed

    # --- inside --------------------------------------------------------------------------------------------------------

    def _of(self, folder: str | None) -> Settings:
        if folder not in self._settings:
            self._settings[folder] = self._work_out(folder)
        return self._settings[folder]

    def _work_out(self, folder: str | None) -> Settings:
        asked = self._asked.get(folder, self._asked.get(None, {}))
        users = self._files.get(self.user_file, {}) if self.user_file else {}
        settings = replace(Settings(), **{**users, **self._started, **asked, **self._pushed})
        if folder is None:
            return settings
        return below(settings, self._files.get(self._folders[folder] / WORKSPACE_FILE, {}))

    def _folder_of(self, path: Path | None) -> str | None:
        """The innermost one."""
        around = [uri for uri, folder in self._folders.items() if path and (folder == path or folder in path.parents)]
        return max(around, key=lambda uri: len(self._folders[uri].parts), default=None)

    def _read(self, data: Any, *, told: bool = True) -> Values:
        values, problems = read_values(data)
        if problems and told:
            self._note(" ".join(problems))
        return values

    def _read_file(self, file: Path, read: Callable[[Path], tuple[Values, list[str]]]) -> None:
        """A file that makes no sense changes nothing: somebody may be writing it."""
        try:
            self._files[file], problems = read(file)
        except Unreadable as error:
            if file not in self._broken:
                self._broken.add(file)
                self._alarm(f"{error} No change in it takes effect.")
            return
        self._broken.discard(file)
        if problems:
            self._note(" ".join(problems))


def _path(uri: str) -> Path | None:
    """Where a URI is on this machine, if it is."""
    try:
        path = Path(to_fs_path(uri) or "")
    except ValueError:
        return None
    return path if path.is_absolute() else None


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - asked at every file that is opened
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size
