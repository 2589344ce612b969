"""In which files nothing is suggested, and why."""

from __future__ import annotations

import pytest

from incoder_lsp.silence import LARGEST, LONGEST_LINE, reason_for_silence


@pytest.mark.parametrize("invoked", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        "/p/.env",
        "/p/.env.local",
        "/p/PROD.ENV",
        "/p/server.pem",
        "/home/me/.ssh/config",
        "/p/id_rsa",
        "/p/secrets.yml",
        "/p/a.tfvars",
    ],
)
def test_secrets_are_nobodys_business(path: str, invoked: bool):
    assert reason_for_silence(path, "A=1\n", 0, invoked=invoked) == "the file may hold secrets"


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("/p/a.min.js", "x", "the file is minified"),
        ("/p/a.js", "x" * (LONGEST_LINE + 1), "the file is minified"),
        ("/p/a.py", "x\n" * LARGEST, "the file is very large"),
        ("/p/a.py", "\0\1\n", "the file is binary"),
    ],
)
def test_what_no_person_writes_is_left_alone_unless_asked(path: str, text: str, reason: str):
    assert reason_for_silence(path, text, 0, invoked=False) == reason
    assert reason_for_silence(path, text, 0, invoked=True) is None


@pytest.mark.parametrize(
    "path",
    ["/p/environment.py", "/p/keys.py", "/p/secrets.py", "/p/secrets_of_the_trade.py", "/envs/a.py", "untitled", ""],
)
def test_ordinary_files_are_not_silent(path: str):
    line = "x" * LONGEST_LINE
    assert reason_for_silence(path, f"{line * 2}\n{line}\n{line * 2}", 2 * LONGEST_LINE + 2, invoked=False) is None
