"""The report: its numbers are those of the build, and its picture is one."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from incoder_train.cli import app
from incoder_train.corpus import build_corpus


def test_the_command_reports_what_was_built(manifest: Path, cache: Path, tmp_path: Path) -> None:
    build_corpus(manifest, tmp_path / "out", cache=cache, benchmarks=None, without_decontamination=True)
    picture = tmp_path / "pictures/corpus.png"
    told = CliRunner().invoke(app, ["data", "report", str(tmp_path / "out"), "--picture", str(picture)])
    assert told.exit_code == 0, told.output
    lines = [" ".join(line.split()) for line in told.output.splitlines()]
    assert lines[0].startswith("tiny: 250 documents, 0.1 MB; train ")
    for line in (
        ".py 353 0.1 250 0.1 70%",
        "filter 353 352 0.1 0.1",
        "filter empty 1 0.0",
        "dedup copy of an earlier file 2 0.0",
        "tests share of tests 100 0.0",
        "one 1 0.0 1",
        "two 1 0.0 0",
        "one one/area_0.py 2",
    ):
        assert line in lines
    pytest.importorskip("matplotlib")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("content", [None, "{", '{"name": "of another version"}'])
def test_no_report_no_corpus(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "documents.json").write_text(content)
    told = CliRunner().invoke(app, ["data", "report", str(tmp_path)])
    assert told.exit_code == 1
    assert "incoder: " in told.stderr
    assert told.output.count("\n") == 1
