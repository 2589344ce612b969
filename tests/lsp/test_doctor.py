"""`incoder-lsp check`: what it finds where all is well, and where something is not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from incoder_lsp import doctor
from incoder_lsp.doctor import findings
from incoder_lsp.doctor.finding import Finding, Level
from incoder_lsp.settings_files import WORKSPACE_FILE
from incoder_model.checkpoint import BUNDLED


def check(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "incoder_lsp", "check", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(doctor, "PROBES", {name: doctor.PROBES[name] for name in names})


def test_all_is_well(tmp_path: Path):
    (tmp_path / "a.py").write_text("import json\n\nitems = json.loads('[]')\n")
    done = check("a.py", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert {"Python", "incoder-lsp", "Engine", "Settings", "File", "Daemon", "Editors", "Model", "Files"} <= set(found)
    assert all(one["level"] != "fail" for one in found.values())
    assert all(bool(one["advice"]) == (one["level"] != "ok") for one in found.values())
    assert "loaded in" in found["Completion"]["found"]
    assert "4,242,432 parameters" in found["Model"]["found"]


def test_a_model_that_is_missing_is_a_failure_with_advice(tmp_path: Path):
    done = check("--model", "nothing", folder=tmp_path)
    assert done.returncode == 1
    assert "fail  Model: nothing is not a folder" in done.stdout
    assert "fail  Completion: the model was not loaded" in done.stdout
    assert "\n      Set incoder.model" in done.stdout


def test_a_file_of_the_model_that_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    only(monkeypatch, "Model")
    shutil.copytree(BUNDLED, tmp_path / "model")
    assert [one.level for one in findings(tmp_path / "model", None)] == [Level.ok, Level.ok]
    with (tmp_path / "model" / "tokenizer.json").open("a") as file:
        file.write("\n")
    (tmp_path / "model" / "provenance.json").unlink()
    _, files = findings(tmp_path / "model", None)
    assert (files.level, files.found) == (Level.fail, "not as they were made: provenance.json, tokenizer.json")


def test_settings_and_the_file_they_are_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    only(monkeypatch, "Settings", "File")
    (tmp_path / WORKSPACE_FILE).write_text('maxToken = 5\noffFiles = ["*.sql"]\nenabled = false\n')
    (tmp_path / "a.sql").write_text("select\n")
    user, problem, off, file = findings(None, tmp_path / "a.sql")
    assert (user.level, user.found.endswith("config.toml is not there")) == (Level.ok, True)
    assert problem.level is Level.warn
    assert problem.found == f"{tmp_path / WORKSPACE_FILE}: maxToken is no setting; the nearest one is maxTokens."
    assert (off.level, off.found) == (Level.warn, "suggestions are switched off")
    assert (file.level, "offFiles" in file.found, "offFiles" in file.advice) == (Level.warn, True, True)
    (tmp_path / WORKSPACE_FILE).write_text("maxTokens = \n")
    _, broken, _ = findings(None, tmp_path / "a.sql")
    assert broken.level is Level.fail
    missing = list(findings(None, tmp_path / "b.sql"))[-1]
    assert missing == Finding(
        "File",
        Level.fail,
        f"{tmp_path / 'b.sql'} cannot be read: no such file or directory",
        "Name a file that you can read.",
    )


def test_clients_are_found_where_editors_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    only(monkeypatch, "Editors")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert [one.level for one in findings(None, None)] == [Level.warn]
    extension = tmp_path / ".vscode" / "extensions" / "incoder.incoder-0.1.0"
    plugin = tmp_path / "data" / "nvim" / "site" / "pack" / "x" / "start" / "incoder.nvim"
    extension.mkdir(parents=True)
    (plugin / "lua" / "incoder").mkdir(parents=True)
    (plugin / "lua" / "incoder" / "init.lua").touch()
    (found,) = findings(None, None)
    assert (found.level, found.found) == (Level.ok, f"clients: {extension}, {plugin}")


def test_a_backend_that_is_away_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    only(monkeypatch, "Model", "Completion")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "incoder").mkdir()
    (tmp_path / "incoder" / "config.toml").write_text('backend = "http://127.0.0.1:9"\n')
    model, completion = findings(None, None)
    assert (model.level, model.found) == (Level.ok, "the server at http://127.0.0.1:9, where your code is sent")
    assert completion.level is Level.fail
    assert "http://127.0.0.1:9 gives no completions" in completion.found


def test_a_probe_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "PROBES", {"Tea": lambda *_: 1 / 0})
    (found,) = findings(None, None)
    assert (found.name, found.level) == ("Tea", Level.fail)
    assert "ZeroDivisionError" in found.found
