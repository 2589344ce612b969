"""What a run shows: the table says what the metrics say, the pictures can be drawn of any run, and errors are one sentence."""

import json
import re
from pathlib import Path

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner, Result

from incoder_train.cli import app
from incoder_train.training.curve import draw_curve, draw_runs
from incoder_train.training.metrics import METRICS
from incoder_train.training.report import read_runs, summarise


def incoder(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, arguments)], env={"COLUMNS": "160"})


def write_run(folder: Path, *, steps: int = 60, fp16: bool = False, cut: str = "") -> Path:
    """A run that reached loss 2 + 8 / step."""
    folder.mkdir()
    lines = []
    for step in range(1, steps + 1):
        place = {"step": step, "tokens": step * 1000, "seconds": step * 0.5}
        line = {"loss": 2 + 8 / step, "lr": 1e-3, "gradient_norm": 1.0, "tokens_per_second": 2000.0 + step}
        line |= {"memory_gib": 1.0 + (step == 5), "data_wait": 0.05, "padding": 0.1, "skipped": step // 20}
        lines.append(place | line | ({"loss_scale": 65536.0 / 2 ** (step // 20), "mfu": 0.4} if fp16 else {}))
        if step % 20 == 0:
            lines.append(place | {"validation_loss": 2.5 + step / 100, "bits_per_byte": 0.9})
    (folder / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines) + cut)
    return folder


def rows(result: Result) -> dict[str, list[str]]:
    """The cells of the printed table, by the first one of their row."""
    cells = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in result.stdout.splitlines()]
    return {row[0]: row[1:] for row in cells if row}


def test_the_table_says_what_the_metrics_say(tmp_path: Path) -> None:
    runs = write_run(tmp_path / "first"), write_run(tmp_path / "second", fp16=True, cut='{"step": 61, "lo')
    result = incoder("report", *runs)
    assert result.exit_code == 0, result.output
    table = rows(result)
    assert table[""] == ["first", "second"]
    last_ten = sum(2 + 8 / step for step in range(51, 61)) / 10
    assert table["training loss, mean of last 10"] == [f"{last_ten:.4f}"] * 2
    assert table["tokens"] == ["60,000"] * 2
    assert table["minutes of training"] == ["0.5"] * 2
    assert table["held-out loss, last"] == ["3.1000"] * 2
    assert table["held-out loss, lowest"] == ["2.7000"] * 2
    assert table["bits per byte, last"] == ["0.9000"] * 2
    assert table["tokens/s, median"] == ["2,030"] * 2
    assert table["MFU, median"] == ["-", "40.0%"]
    assert table["peak memory, GiB"] == ["2.00"] * 2
    assert table["padding"] == ["10.0%"] * 2
    assert table["waiting for data"] == ["10.0%"] * 2
    assert table["updates skipped"] == ["3"] * 2
    assert table["loss scale, last"] == ["-", "8192"]
    assert "HFU, median" not in table
    picture = tmp_path / "first" / "report.png"
    assert result.stdout.splitlines()[-1] == str(picture)
    assert not (tmp_path / "second" / "report.png").exists()


def test_a_panel_for_each_thing_that_was_measured(tmp_path: Path) -> None:
    plain, fp16 = (read_runs([write_run(tmp_path / name, fp16=name == "fp16")]) for name in ("plain", "fp16"))
    draw_runs(plain, tmp_path / "plain.png")
    draw_runs(plain | fp16, tmp_path / "both.png")
    small, large = imread(tmp_path / "plain.png"), imread(tmp_path / "both.png")
    assert large.shape[0] > small.shape[0]  # three panels, and five
    assert large.shape[1] == small.shape[1]


def test_the_picture_of_a_run_that_has_just_begun(tmp_path: Path) -> None:
    for steps in (0, 1, 2):
        run = write_run(tmp_path / f"run{steps}", steps=steps)
        draw_curve(run)
        assert imread(run / "loss.png").shape[2] == 4
        assert sorted(file.name for file in run.iterdir()) == ["loss.png", METRICS]
    assert summarise([{"step": 1}]) == {"steps": "1"}


def test_namesakes_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    runs = [write_run(tmp_path / "a" / "run"), write_run(tmp_path / "b" / "run"), write_run(tmp_path / "other")]
    assert [*read_runs(runs)] == [str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run"), "other"]


# --- the command line --------------------------------------------------------------------------------------------


def test_one_sentence(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    damaged = write_run(tmp_path / "damaged", cut="{}\n")
    for arguments, said in (
        ((tmp_path,), "holds no metrics of a run"),
        ((run, tmp_path / "nowhere"), "nowhere holds no metrics of a run"),
        ((damaged,), "is no line of metrics"),
        ((run, "--picture", tmp_path / "curves.docx"), "curves.docx ends in none of"),
        ((run, "--picture", tmp_path / "nowhere" / "curves.png"), "could not be read or written"),
    ):
        result = incoder("report", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("incoder: ")
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    assert [file.name for file in run.iterdir()] == [METRICS]


@pytest.mark.parametrize("arguments", [("none.toml",), ("--resume", "none.toml"), ("run", "none.toml"), ("./report",)])
def test_what_is_no_command_is_a_recipe(arguments: tuple[str, ...]) -> None:
    result = incoder(*arguments)
    assert result.exit_code == 1
    said = f"incoder: recipe {Path(arguments[-1])} cannot be read: No such file or directory; give a file, or one of "
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == 1


def test_help_shows_the_recipe_and_the_commands() -> None:
    for arguments in (("--help",), ()):
        said = incoder(*arguments).output
        assert "RECIPE [--out DIR]" in said
        assert "report" in said
    assert "A TOML file, or the name of a recipe" in incoder("any.toml", "--help").output
