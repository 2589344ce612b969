"""A bundle: a checkpoint in a quarter of the bytes, where it comes from, and what says that it is whole."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file, save_file

from incoder_model.checkpoint import GRAPH_VNNI, load_transformer
from incoder_model.config import PRESETS, ModelConfig
from incoder_model.infill import InfillRequest, infill
from incoder_model.loading import load_model
from incoder_train import bundle
from incoder_train.bundle import CARD, FILES, PROVENANCE, SUMS, write_bundle
from incoder_train.errors import UserError
from incoder_train.training.recipe import Data, Recipe, Run

WRITTEN = FILES - {GRAPH_VNNI}  # which is for wider networks than these
RECIPE = Recipe("a-run", Data(Path("d/train"), Path("d/validation"), Path("d/tokenizer.json")), run=Run(minutes=3))
METRICS = [
    {"step": 5, "tokens": 50, "seconds": 9.0, "loss": 3.0},
    {"step": 5, "tokens": 50, "validation_loss": 2.5},
    {"step": 8, "tokens": 80, "seconds": 18.0, "loss": 2.0},
    {"step": 9, "tokens": 90, "seconds": 20.0, "loss": 1.0},
]
COUNTS = {"documents": 3, "bytes": 10}
CORPUS = {
    "name": "few",
    **COUNTS,
    "splits": {"train": COUNTS, "validation": {"documents": 1, "bytes": 2}},
    "languages": {".py": {"collected": COUNTS, "kept": COUNTS}},
    "archives": [{"name": "lib", "licence": "MIT", **COUNTS}],
    "options": {"redact": True},
    "stages": [{"name": "collect", "documents_in": 3, "documents_out": 3, "bytes_out": 10}],
    "content_sha256": "ab",
    "duplicates": "not wanted",
}


@pytest.fixture
def checkpoint(model_directory: Path, tmp_path: Path) -> Path:
    """In a run's folder, as training leaves it."""
    run = tmp_path / "run"
    directory = shutil.copytree(model_directory, run / "step-00000008")
    (directory / "optimiser.safetensors").write_bytes(b"large")
    (run / "recipe.json").write_text(RECIPE.to_json())
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in METRICS))
    return directory


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "documents.json").write_text(json.dumps(CORPUS))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- the model ---------------------------------------------------------------------------------------------------


def test_a_bundle_is_the_checkpoint_in_a_quarter_of_the_bytes(checkpoint: Path, tmp_path: Path) -> None:
    out = write_bundle(checkpoint, tmp_path / "bundle")
    assert {path.name for path in out.iterdir()} == WRITTEN
    stored = load_arrays(out / "model.safetensors")
    original = load_transformer(checkpoint)[0].state_dict()
    assert stored.keys() == {*original, *(f"{name}.scale" for name, weight in original.items() if weight.dim() == 2)}
    for name, weight in original.items():
        assert stored[name].dtype == (np.int8 if weight.dim() == 2 else np.float32)
    assert (out / "model.safetensors").stat().st_size < 0.3 * (checkpoint / "model.safetensors").stat().st_size
    assert infill(load_model(out), InfillRequest("import math\n", "\n", max_tokens=5)).text


def test_a_bundle_in_half_the_bytes(checkpoint: Path, tmp_path: Path) -> None:
    out = write_bundle(checkpoint, tmp_path / "bundle", dtype="bf16")
    stored = load_file(out / "model.safetensors")
    original = load_transformer(checkpoint)[0].state_dict()
    assert all(torch.equal(stored[name], weight.bfloat16()) for name, weight in original.items())
    assert json.loads((out / PROVENANCE).read_text())["weights"]["dtype"] == "bf16"


def test_the_models_that_come_along_fit(tokenizer_bytes: int = 2_000_000) -> None:
    def int8_bytes(config: ModelConfig) -> int:
        rows = config.vocab_size + config.layers * (5 * config.d_model + config.d_ffn)
        return (
            config.parameters + 4 * rows + 3 * config.layers * 13 * config.d_model
        )  # biases and norms take four, not one

    assert int8_bytes(PRESETS["small-60m"]) + tokenizer_bytes < bundle.LARGEST


# --- its papers --------------------------------------------------------------------------------------------------


def test_a_bundle_knows_where_it_comes_from(
    checkpoint: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = write_bundle(checkpoint, tmp_path / "bundle", corpus, hardware="two cores")
    origin = json.loads((out / PROVENANCE).read_text())
    weights = origin.pop("weights")
    assert origin == {
        "checkpoint": "step-00000008",
        "recipe": json.loads(RECIPE.to_json()),
        "last_metrics": [METRICS[2], METRICS[1]],  # those of step 9 are another checkpoint's
        "hardware": "two cores",
        "corpus": {key: value for key, value in CORPUS.items() if key != "duplicates"},
    }
    content = (out / "model.safetensors").read_bytes()
    assert (weights["dtype"], weights["bytes"]) == ("int8", len(content))
    assert weights["sha256"] == hashlib.sha256(content).hexdigest()
    assert 0 < weights["fidelity"]["logit_difference"] < 0.5
    assert weights["fidelity"]["same_choice"] > 0.9
    first = contents(out)
    monkeypatch.chdir(checkpoint)
    again = write_bundle(Path(), tmp_path / "again", corpus, hardware="two cores")  # from within
    assert contents(again) == first  # the same bytes


def test_a_bundle_without_a_run_around_it(model_directory: Path, tmp_path: Path) -> None:
    out = write_bundle(model_directory, tmp_path / "bundle")
    origin = json.loads((out / PROVENANCE).read_text())
    assert origin.keys() == {"checkpoint", "weights"}
    assert origin["checkpoint"] == "tiny"


def test_sha256sum_knows_whether_a_bundle_is_whole(checkpoint: Path, tmp_path: Path) -> None:
    out = write_bundle(checkpoint, tmp_path / "bundle")

    def check() -> subprocess.CompletedProcess[str]:
        command = ["sha256sum", "--strict", "-c", SUMS]
        return subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)

    whole = check()
    assert whole.returncode == 0, whole.stderr
    assert [line.split(": ") for line in whole.stdout.splitlines()] == [
        [name, "OK"] for name in sorted(WRITTEN - {SUMS})
    ]
    with (out / "model.safetensors").open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    damaged = check()
    assert damaged.returncode == 1
    assert "model.safetensors: FAILED" in damaged.stdout


# --- where it goes -----------------------------------------------------------------------------------------------


def test_a_new_bundle_replaces_the_old_one(checkpoint: Path, tmp_path: Path) -> None:
    write_bundle(checkpoint, tmp_path / "bundle")
    before = (tmp_path / "bundle" / "model.safetensors").stat().st_ino
    write_bundle(checkpoint, tmp_path / "bundle")
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
        write_bundle(checkpoint, out)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_empty_folder_will_do(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert load_model(write_bundle(checkpoint, tmp_path / "empty"))


# --- what is refused ---------------------------------------------------------------------------------------------


def test_what_cannot_be_bundled(
    checkpoint: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    with pytest.raises(UserError, match="is not a folder"):
        write_bundle(tmp_path / "missing", out)
    with pytest.raises(UserError, match=r"nothing holds no corpus .*; give the folder that `incoder data build` made"):
        write_bundle(checkpoint, out, tmp_path / "nothing")
    for content in ("", "{}", "[]"):
        (corpus / "documents.json").write_text(content)
        with pytest.raises(UserError, match="holds no corpus"):
            write_bundle(checkpoint, out, corpus)
    (corpus / "documents.json").write_text(json.dumps(CORPUS | {"archives": [{}]}))
    with pytest.raises(UserError, match=r"is not what this version writes \(KeyError\('licence'\)\)"):
        write_bundle(checkpoint, out, corpus)
    with pytest.raises(UserError, match="nothing is no result of `incoder eval`"):
        write_bundle(checkpoint, out, scores=[tmp_path / "nothing"])
    size = sum(map(len, contents(write_bundle(checkpoint, tmp_path / "whole")).values()))
    monkeypatch.setattr(bundle, "LARGEST", size)
    write_bundle(checkpoint, tmp_path / "whole")
    monkeypatch.setattr(bundle, "LARGEST", size - 1)
    with pytest.raises(
        UserError, match=f"would have {size:,} bytes, and may have {size - 1:,}; bundle a smaller model"
    ):
        write_bundle(checkpoint, out)
    (checkpoint.parent / "recipe.json").write_text("{")
    with pytest.raises(UserError, match=r"recipe\.json is damaged"):
        write_bundle(checkpoint, out)
    assert not out.exists()


def test_weights_that_are_no_numbers(checkpoint: Path, tmp_path: Path) -> None:
    weights = {name: weight.clone() for name, weight in load_file(checkpoint / "model.safetensors").items()}
    weights["layers.1.fc2.weight"][3, 4] = torch.nan
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(UserError, match="cannot be stored in int8: a weight is not a finite number; bundle an earlier"):
        write_bundle(checkpoint, tmp_path / "bundle")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UserError, match="could not be written: Permission denied"):
        write_bundle(checkpoint, tmp_path / "locked" / "bundle")


def test_the_card_is_in_the_bundle(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    card = (write_bundle(checkpoint, tmp_path / "bundle", corpus, hardware="two cores") / CARD).read_text()
    assert card.startswith("# a-run\n")
    assert "| hardware | two cores |" in card
