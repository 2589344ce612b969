"""`incoder eval` as a person types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import assert_one_sentence
from typer.testing import CliRunner, Result

from incoder_train.cli import app
from incoder_train.evaluate.case import RETRIEVAL, Answer, Case, Limits, Settings, Task
from incoder_train.evaluate.groups import GROUPS
from incoder_train.evaluate.tasks import TASKS

ROW = {
    "prefix": "x = 1\ny = 2\nx = 1\n",
    "middle": "y = 2",
    "suffix": "\n",
    "path": "a.py",
    "lang": "python",
    "kind": "single-line",
}


def incoder(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


def test_help_lists_tasks_and_groups() -> None:
    result = incoder("--help")
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    for name, one in {**TASKS, **GROUPS}.items():
        assert f"{name}: {one.about}" in shown
    assert "Usage: " in incoder().output


def test_what_is_unknown(tmp_path: Path) -> None:
    for arguments, said in (
        (("heldot",), "there is no task 'heldot'; the nearest is 'heldout', and there are "),
        (("table1",), "the nearest is 'table-1'"),
        (
            ("heldout", "--split", "lines"),
            "there is no split of heldout 'lines'; the nearest is 'multi-line', and there are",
        ),
        (("heldout", "--method", "infill"), "there is no method for heldout 'infill'; the nearest is"),
        (("bits-per-byte", "--split", "one"), "bits-per-byte is not split; leave --split out"),
        (("bits-per-byte", "--cases", tmp_path / "c"), "bits-per-byte has its own cases; leave --cases out"),
        (
            ("table-1", "--method", "rerank"),
            "table-1 is a group, which decides split, method and cases; leave them out",
        ),
        (("heldout", "--model", tmp_path), "holds no model: config.json is missing"),
        (("heldout", "--method", "retrieval", "--picture", tmp_path / "a.xyz"), "a.xyz ends in none of"),
    ):
        assert_one_sentence(incoder(*arguments), said)


def test_numbers_out_of_range_are_usage_errors() -> None:
    for arguments in (
        ("--limit", 0),
        ("--samples", 0),
        ("--batch", 0),
        ("--temperature", -1),
        ("--top-p", 0),
        ("--seed", -1),
    ):
        assert incoder("heldout", *arguments).exit_code == 2


def toy(error: type[BaseException] | None = None) -> Task:
    def answer(cases, settings, generator):
        if error and cases[0].id == "6":
            raise error
        return [Answer(["x"]) for _ in cases]

    cases = [Case(str(i), "", "", "x", Limits(1), extra={"share_right": i / 9}) for i in range(10)]
    return Task("toy", "a toy", (RETRIEVAL,), lambda settings: cases, answer, lambda case, answer: {"exact": 1.0})


def test_a_stopped_run_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "toy.json"
    monkeypatch.setattr("incoder_train.evaluate.tasks.TASKS", {"toy": toy(KeyboardInterrupt)})
    stopped = incoder("toy", "--batch", 3, "--json", out)
    assert stopped.exit_code == 85
    assert f"stopped by a signal after 6 cases; {out} will go on from there" in stopped.stdout
    assert "--json would have kept them" in incoder("toy", "--batch", 3).stdout
    monkeypatch.setattr("incoder_train.evaluate.tasks.TASKS", {"toy": toy()})
    result = incoder("toy", "--batch", 3, "--json", out, "--picture", tmp_path / "toy.png")
    assert result.exit_code == 0
    assert "toy retrieval: 9 of 10\ntoy retrieval: 10 of 10\n" in result.stdout
    assert "100.0 %" in result.stdout
    assert (tmp_path / "toy.png").exists()
    assert len(json.loads(out.read_text())["cases"]) == 10


def test_a_group_is_a_folder_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from incoder_train.cli import eval as command
    from incoder_train.evaluate.groups import Group, Measured, Row, Run

    run = Run("toy", method=RETRIEVAL, temperature=0.2)
    monkeypatch.setattr("incoder_train.evaluate.tasks.TASKS", {"toy": toy()})
    monkeypatch.setitem(
        command.GROUPS, "two", Group("two", "twice", ("exact",), (Row("a toy", (Measured(run, "exact"),)),))
    )
    result = incoder("two", "--json", tmp_path / "two", "--limit", 5)
    assert result.exit_code == 0, result.output
    assert "two: twice" in result.stdout
    assert "100.0 (56.6 - 100.0)" in result.stdout
    (file,) = (tmp_path / "two").iterdir()
    assert file.name == "toy.retrieval.json"
    settings = json.loads(file.read_text())["settings"]
    assert (settings["temperature"], settings["limit"]) == (0.2, 5)
    warm = incoder("two", "--json", tmp_path / "other", "--temperature", 0.5)
    assert json.loads((tmp_path / "other" / "toy.retrieval.json").read_text())["settings"]["temperature"] == 0.5, (
        warm.output
    )
    monkeypatch.setattr("incoder_train.evaluate.tasks.TASKS", {"other": toy()})
    assert_one_sentence(incoder("two"), "there is no task 'toy'; the nearest is 'other'")


def without_torch(code: str) -> subprocess.CompletedProcess[str]:
    blocked = "import sys; sys.modules |= dict.fromkeys(('torch', 'matplotlib', 'zstandard'))\n"
    return subprocess.run(
        [sys.executable, "-c", blocked + code], capture_output=True, text=True, timeout=120, check=False
    )


def test_help_and_tasks_need_no_torch() -> None:
    code = "from incoder_train.evaluate.tasks import TASKS\nlist(TASKS.values())\n"
    result = without_torch(code + "from incoder_train.cli import app\napp(['eval', '--help'])")
    assert result.returncode == 0, result.stderr
    assert "heldout" in result.stdout


def test_cases_are_drawn_without_torch() -> None:
    code = "from incoder_train.evaluate.tasks import TASKS\nfrom incoder_train.evaluate.case import Settings\n"
    result = without_torch(code + "print(len(TASKS['heldout'].cases(Settings('heldout', 'single-line'))))")
    assert (result.stdout, result.stderr) == ("1000\n", "")


def test_asking_a_model_without_torch_says_what_to_install(tmp_path: Path) -> None:
    pytest.importorskip("incoder_model.batch")
    (tmp_path / "cases.jsonl").write_text(json.dumps(ROW))
    result = without_torch(
        f"from incoder_train.cli import app\napp(['eval', 'heldout', '--cases', {str(tmp_path / 'cases.jsonl')!r}])"
    )
    assert result.returncode == 1
    assert 'this needs torch, which is not installed; run: pip install "incoder-lsp[train]"' in result.stderr


def test_retrieval_needs_no_torch(tmp_path: Path) -> None:
    pytest.importorskip("incoder_train.evaluate.methods")
    (tmp_path / "cases.jsonl").write_text(json.dumps(ROW))
    code = f"['eval', 'heldout', '--method', 'retrieval', '--cases', {str(tmp_path / 'cases.jsonl')!r}]"
    result = without_torch(f"from incoder_train.cli import app\napp({code})")
    assert result.returncode == 0, result.stderr
    assert "100.0 %" in result.stdout


@pytest.mark.parametrize("method", ["causal-mask", "anchored", "left-to-right", "rerank", "retrieval"])
def test_every_method_greedily_gives_the_same_file_twice(tmp_path: Path, model_directory: Path, method: str) -> None:
    pytest.importorskip("incoder_train.evaluate.methods")
    written = []
    for name in ("one.json", "two.json"):
        result = incoder(
            "heldout", "--method", method, "--model", model_directory, "--limit", 3, "--json", tmp_path / name
        )
        assert result.exit_code == 0, result.output
        written.append(
            {key: value for key, value in json.loads((tmp_path / name).read_text()).items() if key != "seconds"}
        )
    assert written[0] == written[1]
    assert Settings(**written[0]["settings"], task="heldout", method=method).limit == 3
