"""Where a user's files are, on each platform; a variable moves them on all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from incoder_lsp import folders
from incoder_lsp.folders import PLACES, For, users_folder

HOME = Path("/home/me")


@pytest.mark.parametrize(
    ("platform", "what", "expected"),
    [
        ("linux", "config", ".config/incoder"),
        ("linux", "state", ".local/state/incoder"),
        ("linux", "data", ".local/share/incoder"),
        ("darwin", "config", "Library/Application Support/incoder"),
        ("win32", "config", "AppData/Roaming/incoder"),
        ("win32", "data", "AppData/Local/incoder"),
    ],
)
def test_each_platform_has_its_places(monkeypatch: pytest.MonkeyPatch, platform: str, what: For, expected: str):
    monkeypatch.setattr(folders.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: HOME)
    for moved, windows, _, _ in PLACES.values():
        monkeypatch.delenv(moved, raising=False)
        monkeypatch.delenv(windows, raising=False)
    assert users_folder(what) == HOME / expected
    monkeypatch.setenv(PLACES[what][0], "/elsewhere")
    assert users_folder(what) == Path("/elsewhere/incoder")
