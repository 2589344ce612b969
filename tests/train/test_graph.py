"""`incoder convert --to onnx`: a model directory gains its graph, beside it or in place, or stays as it was."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from incoder_model.checkpoint import CONFIG, GRAPH, GRAPH_VNNI, TOKENIZER, WEIGHTS
from incoder_model.infill import InfillRequest, infill
from incoder_model.loading import load_model
from incoder_train.bundle import SUMS, sums
from incoder_train.cli import app


def convert(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments), "--to", "onnx"])


def test_a_copy_with_the_graph(model_directory: Path, tmp_path: Path) -> None:
    shutil.copytree(model_directory, tmp_path / "step")
    (tmp_path / "step" / "optimiser").write_bytes(b"large")
    for _ in range(2):  # and again in its place
        assert convert(tmp_path / "step", tmp_path / "out").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "step"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {CONFIG, GRAPH, TOKENIZER, WEIGHTS}
    request = InfillRequest("import math\n", "\n", max_tokens=5)
    texts = {infill(load_model(tmp_path / "out", engine), request).text for engine in ("onnx", "torch")}
    assert len(texts) == 1


def test_in_place_with_the_sums(model_directory: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_directory, tmp_path / "m")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / SUMS).write_bytes(sums(files))
    (folder / "MODEL_CARD.md").write_text("kept")
    for graph in (b"", b"an older one"):
        (folder / GRAPH).write_bytes(graph)
        assert convert(folder, folder).exit_code == 0
        assert (folder / SUMS).read_bytes() == sums({**files, GRAPH: (folder / GRAPH).read_bytes()})
    assert {path.name for path in folder.iterdir()} == {*files, GRAPH, SUMS, "MODEL_CARD.md"}
    assert load_model(folder, "onnx")


def test_the_second_graph_comes_and_goes(
    model_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(model_directory, tmp_path / "m")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / SUMS).write_bytes(sums(files))
    for gains, names in ((True, {GRAPH, GRAPH_VNNI}), (False, {GRAPH})):
        monkeypatch.setattr("incoder_model.onnx_graph.gains", lambda *_, gains=gains: gains)
        assert convert(folder, folder).exit_code == 0
        assert {path.name for path in folder.glob("*.onnx")} == names
        assert (folder / SUMS).read_bytes() == sums({**files, **{name: (folder / name).read_bytes() for name in names}})


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("other things", "holds other things"),
        ("no weights", WEIGHTS),
        ("dtype", "leave out --dtype"),
        ("mixed", "lacks"),
    ],
)
def test_refusals_leave_all_as_it_was(model_directory: Path, tmp_path: Path, name: str, sentence: str) -> None:
    source = shutil.copytree(model_directory, tmp_path / "m")
    out = tmp_path / "out"
    out.mkdir()
    if name == "other things":
        (out / "thesis.tex").write_text("years")
    if name == "no weights":
        (source / WEIGHTS).unlink()
    if name == "mixed":
        (source / CONFIG).write_text((source / CONFIG).read_text().replace('"layers": 2', '"layers": 3'))
    before = sorted(tmp_path.rglob("*"))
    result = convert(source, out, *(["--dtype", "fp16"] if name == "dtype" else []))
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert sorted(tmp_path.rglob("*")) == before
