"""What the documentation says is so: its links lead somewhere, its commands exist, and those marked to be run do run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from command_lines import command_lines, wrong_word
from pages import PAGES, ROOT, Code, anchors, codes, links, title

RUNNABLE = [(page, code) for page in PAGES for code in codes(page) if code.run]


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue  # elsewhere: not fetched
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{title(page)} points to {link}, which is not there"
        if target.suffix == ".md" and anchor:
            assert anchor in anchors(target), f"{title(page)}: no heading for {link}"


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_commands_and_their_options_exist(page: Path) -> None:
    for code in codes(page):
        for line in command_lines(code.text):
            word = wrong_word(line)
            assert word is None, f"{title(page)}: `{' '.join(line)}`: there is no {word}"


def test_the_check_of_commands_sees_what_is_wrong() -> None:
    def found(text: str) -> list[str | None]:
        return [wrong_word(line) for line in command_lines(text)]

    assert found("incoder-lsp serve --no-daemon && .venv/bin/incoder-lsp serve --deamon") == [None, "--deamon"]
    assert found("KEY=1 incoder data build M \\\n --out D --near-dedup --nearly  # why") == ["--nearly"]
    assert found("incoder-lsp daemonise") == ["daemonise"]
    assert found("incoder train RECIPE --resume; incoder train report DIR --resume") == [None, "--resume"]
    assert found("incoder-lsp --version\nincoder eval t --split=x --json F\nthe `incoder`") == [None, None]


def test_the_rooms_of_how_it_works_are_there() -> None:
    """Of a table's first column, by the name of the folder at the beginning of the cell or of the table's package."""
    text = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[\w./]+\.py`(?:, `[\w./]+\.py`)*|`[\w/]+/`) \|", text, re.MULTILINE)
    assert len(rows) > 40
    for row in rows:
        folder = Path()
        for name in re.findall(r"`([^`]+)`", row):
            folder = Path(name).parent if "/" in name else folder
            path = Path(name) if "/" in name else folder / name
            assert any((ROOT / root / path).exists() for root in ("", "model", "train", "train/incoder_train")), path


@pytest.mark.proof
@pytest.mark.parametrize(("page", "code"), RUNNABLE, ids=lambda value: title(value) if isinstance(value, Path) else "")
def test_marked_commands_run(page: Path, code: Code, tmp_path: Path) -> None:
    """In an empty folder and home, with the programs of this environment, and with no way to a package index."""
    home = tmp_path / "home"
    home.mkdir()
    environment = (
        os.environ
        | {
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "https_proxy": "http://127.0.0.1:9",
            "COLUMNS": "100",
        }
        | {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "STATE", "DATA", "CACHE")}
    )
    done = subprocess.run(
        ["sh", "-eu", "-c", code.text],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{code.text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Zensical needs Python 3.11")
def test_the_site_builds_strictly_and_fetches_nothing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "model").symlink_to(ROOT / "model")
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for page in ROOT.glob("docs/**/*.md"):
        built = tmp_path / "site" / page.relative_to(ROOT / "docs").with_suffix(".html")
        text = built.read_text("utf-8")
        assert not re.search(r'<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)="(?:https?:)?//', text), built
        assert "md-nav__link--active" in text, f"{title(page)} is not in the nav of mkdocs.yml"
    assert "4,242,432" in (tmp_path / "site" / "model-card.html").read_text("utf-8"), "the card is included"
