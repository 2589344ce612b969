"""Whose word about a setting counts, for which file, and what is said about words that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from incoder_lsp.configuration import Configuration
from incoder_lsp.settings import Settings
from incoder_lsp.settings_files import user_file


class Heard:
    def __init__(self, tmp_path: Path, user: str | None = None):
        self.notes: list[str] = []
        self.alarms: list[str] = []
        self.user = tmp_path / "config" / "config.toml"
        if user is not None:
            write(self.user, user)
        self.configuration = Configuration(self.user, self.notes.append, self.alarms.append)


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults_then_the_users_file_then_the_editor_then_the_workspace(tmp_path: Path):
    write(tmp_path / "w" / ".incoder.toml", "maxTokens = 4\n")
    heard = Heard(tmp_path, "maxTokens = 2\ndebounceMs = 2\ntypeHints = true\n")
    folder, inside = (tmp_path / "w").as_uri(), (tmp_path / "w" / "a b.py").as_uri()
    heard.configuration.start({"maxTokens": 3, "debounceMs": 3}, [folder])
    assert heard.configuration.settings == Settings(max_tokens=3, debounce_ms=3, type_hints=True)
    assert heard.configuration.settings_of(inside) == Settings(max_tokens=4, debounce_ms=3, type_hints=True)
    for outside in ("untitled:Untitled-1", "file:///elsewhere/a.py", "nonsense", "file://[", ""):
        assert heard.configuration.settings_of(outside) == heard.configuration.settings
        assert heard.configuration.is_ignored(outside) is False
    assert heard.configuration.place_of(inside) == "a b.py"
    assert (heard.notes, heard.alarms) == ([], [])


def test_a_workspace_chooses_no_model_and_makes_only_less_of_what_the_user_allows(tmp_path: Path):
    file = write(
        tmp_path / "w" / ".incoder.toml",
        '[incoder]\nbackend = "http://127.0.0.1:1"\nmodel = "m"\ncommand = "rm"\nenabled = true\ngitignored = true\n'
        'offFiles = ["b"]\nmaxTokens = 9\n',
    )
    heard = Heard(tmp_path)
    folder = (tmp_path / "w").as_uri()
    heard.configuration.start({"enabled": False, "offFiles": ["a"]}, [folder])
    assert heard.configuration.settings_of(folder + "/a.py") == Settings(
        enabled=False, off_files=("a", "b"), max_tokens=9
    )
    assert heard.notes == [
        " ".join(
            f"{file}: A workspace may not set {name}; it came with its code."
            for name in ("model", "backend", "command")
        )
    ]


def test_the_innermost_folder_counts_and_folders_come_and_go(tmp_path: Path):
    write(tmp_path / "w" / ".incoder.toml", "enabled = false\n")
    write(tmp_path / "w" / "in" / ".incoder.toml", "maxTokens = 5\n")
    heard = Heard(tmp_path)
    outer, inner = (tmp_path / "w").as_uri(), (tmp_path / "w" / "in").as_uri()
    heard.configuration.start(None, [outer])
    assert heard.configuration.settings_of(inner + "/a.py").enabled is False
    heard.configuration.change_folders([inner], [])
    assert heard.configuration.settings_of(inner + "/a.py") == Settings(max_tokens=5)
    assert heard.configuration.place_of(inner + "/x/a.py") == "x/a.py"
    heard.configuration.change_folders([], [outer, inner])
    assert heard.configuration.settings_of(inner + "/a.py") == Settings()


def test_files_are_read_again_when_they_have_changed(tmp_path: Path):
    heard = Heard(tmp_path)
    heard.configuration.start(None, [])
    assert heard.configuration.look() is False
    write(heard.user, "maxTokens = 7\n")
    assert heard.configuration.look() is True
    assert heard.configuration.settings == Settings(max_tokens=7)
    assert heard.configuration.look() is False
    heard.user.unlink()
    assert heard.configuration.look() is True
    assert heard.configuration.settings == Settings()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"maxTokens = ", "is not TOML: "),
        (b"\xff", "is not TOML: it is not in UTF-8."),
        (b"#" * 200_000, "is too large for settings."),
    ],
)
def test_a_file_that_makes_no_sense_is_told_once_and_changes_nothing(tmp_path: Path, text: bytes, reason: str):
    heard = Heard(tmp_path, "maxTokens = 7\n")
    heard.configuration.start(None, [])
    for more in (b"", b"\n", b"\n\n"):
        heard.user.write_bytes(text + more)
        heard.configuration.look()
    (alarm,) = heard.alarms
    assert alarm.startswith(f"{heard.user} {reason}")
    assert alarm.endswith(" No change in it takes effect.")
    assert heard.configuration.settings == Settings(max_tokens=7)
    write(heard.user, "maxTokens = 8\n")
    heard.configuration.look()
    heard.user.write_bytes(text)
    heard.configuration.look()
    assert len(heard.alarms) == 2, "it was mended in between"


def test_a_value_that_cannot_be_taken_is_named_with_its_file(tmp_path: Path):
    heard = Heard(tmp_path, 'maxTokens = "many"\nmaxTokn = 1\ntypeHints = true\n')
    heard.configuration.start({"debounceMs": -1}, [])
    assert heard.configuration.settings == Settings(type_hints=True)
    assert heard.notes == [
        "incoder.debounceMs must be a whole number from 0 to 5000.",
        f"{heard.user}: maxTokens must be a whole number from 1 to 1024. "
        f"{heard.user}: maxTokn is no setting; the nearest one is maxTokens.",
    ]


def test_what_the_editor_says_later_counts(tmp_path: Path):
    heard = Heard(tmp_path)
    configuration, folder = heard.configuration, (tmp_path / "w").as_uri()
    configuration.start({"maxTokens": 1, "debounceMs": 1}, [folder])
    configuration.asking()({None: {"maxTokens": 2}, folder: {"maxTokens": 3}})
    assert configuration.settings == Settings(max_tokens=2, debounce_ms=1)
    assert configuration.settings_of(folder + "/a.py") == Settings(max_tokens=3, debounce_ms=1)
    configuration.push({"typeHints": True})
    configuration.push({"incoder": {"maxTokens": 4}})
    assert configuration.settings_of(folder + "/a.py") == Settings(max_tokens=4, debounce_ms=1, type_hints=True)
    configuration.asking()({None: None, folder: None})
    assert configuration.settings.max_tokens == 4, "an editor that has nothing to say changes nothing"
    answered = configuration.asking()
    configuration.push({"maxTokens": 5})
    answered({None: {"maxTokens": 6}})
    assert configuration.settings.max_tokens == 5, "it was said after the question"
    configuration.asking()({None: {"maxTokens": 7}})
    assert configuration.settings == Settings(max_tokens=7, debounce_ms=1)


def test_ignored_files_are_known_by_their_folder(tmp_path: Path):
    (tmp_path / "w" / ".git").mkdir(parents=True)
    write(tmp_path / "w" / ".gitignore", "build/\n")
    heard = Heard(tmp_path)
    heard.configuration.start(None, [(tmp_path / "w").as_uri()])
    uri = (tmp_path / "w" / "build" / "a.py").as_uri()
    assert heard.configuration.is_ignored(uri)
    write(tmp_path / "w" / ".gitignore", "")
    heard.configuration.look()
    assert not heard.configuration.is_ignored(uri)


def test_the_users_file_is_where_the_platform_has_such_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert user_file() == tmp_path / "incoder" / "config.toml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    assert user_file() == Path.home() / ".config" / "incoder" / "config.toml"
