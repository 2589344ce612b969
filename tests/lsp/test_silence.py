"""In which files nothing is suggested, and why."""

from __future__ import annotations

from typing import Any

import pytest

from incoder_lsp.question import Question
from incoder_lsp.settings import Settings
from incoder_lsp.silence import LARGEST, LONGEST_LINE, off_limits, reason_for_silence


def reason(path: str, text: str = "A=1\n", offset: int = 0, *, invoked: bool = False, **more: Any) -> str | None:
    more = {"place": path.removeprefix("/p/").lstrip("/"), **more}
    settings = Settings(**more.pop("settings", {}))
    return reason_for_silence(Question(f"file://{path}", path, text, offset, "\n", invoked, settings, **more))


@pytest.mark.parametrize("invoked", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        "/p/.env",
        "/p/.env.local",
        "/p/.env-production",
        "/p/PROD.ENV",
        "/p/prod.env.local",
        "/p/server.pem",
        "/home/me/.ssh/config",
        "/home/me/.docker/config.json",
        "/p/id_rsa",
        "/p/secrets.yml",
        "/p/keys/production.yaml",
        "/p/a.tfvars",
        "/p/github.token",
        "/p/auth.json",
    ],
)
def test_secrets_are_nobodys_business(path: str, invoked: bool):
    assert reason(path, invoked=invoked) == "the file may hold secrets"


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("/p/a.min.js", "x", "the file is minified"),
        ("/p/a.js", "x" * (LONGEST_LINE + 1), "the file is minified"),
        ("/p/a.py", "x\n" * LARGEST, "the file is very large"),
        ("/p/a.py", "\0\1\n", "the file is binary"),
        ("/p/config.yaml", "a: 1\n", "the file may hold a password among its settings"),
        ("/p/main.py.orig", "x", "the file may hold a password among its settings"),
    ],
)
def test_what_no_person_writes_is_left_alone_unless_asked(path: str, text: str, why: str):
    assert reason(path, text) == why
    assert reason(path, text, invoked=True) is None


def test_what_git_ignores_is_left_alone_unless_asked_or_set():
    assert reason("/p/build/a.py", ignored=True) == "git ignores the file"
    assert reason("/p/build/a.py", ignored=True, invoked=True) is None
    assert reason("/p/build/a.py", ignored=True, settings={"gitignored": True}) is None


@pytest.mark.parametrize("invoked", [False, True])
def test_what_the_user_has_switched_off_is_off_for_whoever_asks(invoked: bool):
    off = {"off_languages": ("markdown",), "off_files": ("*.sql", "docs/", "/old/*.py")}
    switched = "switched off for this file by offFiles"
    for path, why in {
        "/p/db/a.sql": switched,
        "/p/docs/deep/a.py": switched,
        "/p/old/a.py": switched,
        "/p/src/old/a.py": None,
        "/p/a.sql.py": None,
    }.items():
        assert reason(path, invoked=invoked, settings=off) == why
    assert (
        reason("/p/a", invoked=invoked, settings=off, language="markdown")
        == "switched off for markdown by offLanguages"
    )
    assert reason("/p/a", invoked=invoked, settings=off, language="python") is None


@pytest.mark.parametrize(
    "path",
    [
        "/p/environment.py",
        "/p/keys.py",
        "/p/keys/a.py",
        "/private/tmp/p/a.json",
        "/p/secrets.py",
        "/p/secrets_of_the_trade.py",
        "/envs/a.py",
        "untitled",
        "",
    ],
)
def test_ordinary_files_are_not_silent(path: str):
    line = "x" * LONGEST_LINE
    place = path.removeprefix("/private/tmp/p/").removeprefix("/p/")
    assert off_limits(path, place, "python", Settings()) is None
    assert reason(path, f"{line * 2}\n{line}\n{line * 2}", 2 * LONGEST_LINE + 2, place=place) is None
