"""What git ignores, by its files alone; git itself, where it is installed, is the judge."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incoder_lsp.ignored import is_ignored
from incoder_lsp.patterns import is_named, read_pattern

git = shutil.which("git")
FOLDERS = ("", "a", "a/b", "build", "build/lib", "a/build")
NAMES = ("a.py", "b.txt", "build", "a b")

pieces = st.sampled_from(
    ["a", "b", "*", "?", "/", "/**/", "[ab]", "[!a]", "[a-c]", "build", "lib", ".py", " ", "\\ ", "\\a"]
)
pattern = st.tuples(
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/", "**/"]),
    st.lists(pieces, min_size=1, max_size=3).map("".join),
    st.sampled_from(["", "", "/", "/**"]),
).map("".join)
lines = st.lists(pattern | st.sampled_from(["*", "!*/", "!*.py", "# note", "", "build/", "!build"]), max_size=4)


def repository(root: Path, files: dict[str, str]) -> Path:
    (root / ".git").mkdir(parents=True)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.skipif(git is None, reason="git is not installed")
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(FOLDERS), lines, max_size=3).filter(
        lambda found: all("//" not in line for one in found.values() for line in one)
    )
)
def test_git_says_the_same(rules: dict[str, list[str]]):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run(["git", "init", "-q", root], check=True)
        files = []
        for place in FOLDERS:
            (root / place).mkdir(exist_ok=True)
        for place in FOLDERS:
            (root / place / ".gitignore").write_text("\n".join(rules.get(place, [])), encoding="utf-8")
            files += [f"{place}/{name}".lstrip("/") for name in NAMES if not (root / place / name).is_dir()]
        command = ["git", "-c", "core.excludesFile=", "-C", root, "check-ignore", "--no-index", "--stdin", "-z"]
        found = subprocess.run(command, input="\0".join(files), capture_output=True, text=True, check=False).stdout
        assert {name for name in files if is_ignored(root / name)} == {name for name in found.split("\0") if name}


def test_the_nearest_word_counts_and_nothing_comes_back_from_below_an_ignored_folder(tmp_path: Path):
    root = repository(
        tmp_path / "r", {".gitignore": "*.log\nbuild/\n", "keep/.gitignore": "!*.log\n", "build/.gitignore": "!a.py"}
    )
    assert [is_ignored(root / name) for name in ("a.log", "keep/a.log", "build/a.py", "a.py")] == [
        True,
        False,
        True,
        False,
    ]
    assert is_ignored(root / "build" / "not" / "there.py"), "what is not on disk yet is judged by its path"


def test_what_the_user_and_the_repository_exclude_for_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    repository(tmp_path / "config", {"git/ignore": "*.swp\nmine.py\n"})
    root = repository(tmp_path / "r", {".git/info/exclude": "notes/\n", ".gitignore": "!mine.py\n"})
    assert [is_ignored(root / name) for name in ("a.swp", "notes/a.py", "mine.py")] == [True, True, False]


def test_it_is_read_again_when_it_has_changed(tmp_path: Path):
    root = repository(tmp_path / "r", {".gitignore": "a.py\n"})
    assert is_ignored(root / "a.py")
    (root / ".gitignore").write_text("none.py\n", encoding="utf-8")
    assert not is_ignored(root / "a.py")


def test_a_workspace_folder_that_is_ignored_itself_was_opened_on_purpose(tmp_path: Path):
    home = repository(tmp_path / "home", {".gitignore": "*\n", "work/.gitignore": "build/\n"})
    assert is_ignored(home / "work" / "a.py")
    assert not is_ignored(home / "work" / "a.py", home / "work")
    assert is_ignored(home / "work" / "build" / "a.py", home / "work")


def test_without_a_repository_nothing_is_ignored(tmp_path: Path):
    (tmp_path / ".gitignore").write_text("*\n", encoding="utf-8")
    assert not is_ignored(tmp_path / "a.py")
    assert not is_ignored(Path("a\0b.py"))


@given(st.text(max_size=12))
def test_any_line_is_a_pattern_or_none(line: str):
    if read_pattern(line):
        is_named((line,), "a/b.py")
