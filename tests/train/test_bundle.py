"""A bundle: a checkpoint with half the bytes, and where it comes from."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from incoder_model.checkpoint import load_model, load_transformer
from incoder_model.config import PRESETS
from incoder_model.infill import InfillRequest, infill
from incoder_train import bundle
from incoder_train.bundle import PROVENANCE, write_bundle
from incoder_train.errors import UserError

METRICS = [{"step": 5, "loss": 3.0}, {"step": 5, "validation_loss": 2.5}, {"step": 8, "loss": 2.0}]
CORPUS = {
    "name": "few",
    "documents": {"train": 3},
    "bytes": 10,
    "archives": [],
    "content_sha256": "ab",
    "stages": "not wanted",
}


@pytest.fixture
def checkpoint(model_directory: Path, tmp_path: Path) -> Path:
    """In a run's folder, as training leaves it."""
    run = tmp_path / "run"
    directory = shutil.copytree(model_directory, run / "step-00000008")
    (directory / "optimiser.safetensors").write_bytes(b"large")
    (run / "recipe.json").write_text(json.dumps({"name": "a run"}))
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in METRICS))
    return directory


def test_a_bundle_is_the_checkpoint_in_half_the_bytes(checkpoint: Path, tmp_path: Path) -> None:
    out = write_bundle(checkpoint, tmp_path / "bundle", None)
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json",
        "model.safetensors",
        PROVENANCE,
        "tokenizer.json",
    ]
    stored = load_file(out / "model.safetensors")
    assert {weight.dtype for weight in stored.values()} == {torch.bfloat16}
    original = load_transformer(checkpoint)[0].state_dict()
    assert all(torch.equal(stored[name], weight.bfloat16()) for name, weight in original.items())
    assert infill(load_model(out), InfillRequest("import math\n", "\n", max_tokens=5)).text


def test_a_bundle_knows_where_it_comes_from(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "documents.json").write_text(json.dumps(CORPUS))
    expected = {
        "checkpoint": "step-00000008",
        "recipe": {"name": "a run"},
        "last_metrics": [{"step": 5, "validation_loss": 2.5}],
        "corpus": {key: value for key, value in CORPUS.items() if key != "stages"},
    }
    out = write_bundle(checkpoint, tmp_path / "bundle", corpus)
    assert json.loads((out / PROVENANCE).read_text()) == expected
    monkeypatch.chdir(checkpoint)
    out = write_bundle(Path(), tmp_path / "again", corpus)  # from within
    assert json.loads((out / PROVENANCE).read_text()) == expected


def test_a_bundle_without_a_run_around_it(model_directory: Path, tmp_path: Path) -> None:
    out = write_bundle(model_directory, tmp_path / "bundle", None)
    assert json.loads((out / PROVENANCE).read_text()) == {"checkpoint": "tiny"}


def test_a_new_bundle_replaces_the_old_one(checkpoint: Path, tmp_path: Path) -> None:
    write_bundle(checkpoint, tmp_path / "bundle", None)
    before = (tmp_path / "bundle" / "model.safetensors").stat().st_ino
    write_bundle(checkpoint, tmp_path / "bundle", None)
    assert (tmp_path / "bundle" / "model.safetensors").stat().st_ino != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "run"]


@pytest.mark.parametrize("kind", ["folder", "file", "checkpoint"])
def test_nothing_else_is_replaced(checkpoint: Path, tmp_path: Path, kind: str) -> None:
    """`incoder bundle CHECKPOINT --out .` must not cost anybody a home directory."""
    out = tmp_path / "precious"
    if kind == "folder":
        out.mkdir()
        (out / "thesis.tex").write_text("three years of work")
    elif kind == "file":
        out.write_text("three years of work")
    else:
        shutil.copytree(checkpoint, out)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(
        UserError, match="precious holds other things than a bundled model; name another folder with --out"
    ):
        write_bundle(checkpoint, out, None)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_empty_folder_will_do(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert load_model(write_bundle(checkpoint, tmp_path / "empty", None))


def test_what_cannot_be_bundled(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        write_bundle(tmp_path / "missing", tmp_path / "bundle", None)
    with pytest.raises(UserError, match=r"corpus holds no corpus .*; give the folder that `incoder data build` made"):
        write_bundle(checkpoint, tmp_path / "bundle", tmp_path / "corpus")
    (tmp_path / "corpus").mkdir()
    for content in ("", "{}", "[]"):
        (tmp_path / "corpus" / "documents.json").write_text(content)
        with pytest.raises(UserError, match="holds no corpus"):
            write_bundle(checkpoint, tmp_path / "bundle", tmp_path / "corpus")
    monkeypatch.setattr(bundle, "LARGEST", 1000)
    with pytest.raises(UserError, match=r"take 317,952 bytes, a bundle at most 1,000; bundle a smaller model"):
        write_bundle(checkpoint, tmp_path / "bundle", None)
    assert not (tmp_path / "bundle").exists()


def test_the_first_bundled_model_fits_in_twenty_megabytes() -> None:
    assert 2 * PRESETS["small-8m"].parameters < 20_000_000


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UserError, match="could not be written: Permission denied"):
        write_bundle(checkpoint, tmp_path / "locked" / "bundle", None)
