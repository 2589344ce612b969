"""The `incoder` command: every character of a file survives, and every error is one sentence and exit code 1."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import assert_one_sentence, incoder

from incoder_model.infill import InfillRequest, infill
from incoder_model.loading import load_model
from incoder_model.metadata import file_attributes, header

RECIPE = """
name = "short"
model = "tiny"
[data]
train = "train"
validation = "validation"
tokenizer = "tokenizer.json"
context = 64
[run]
steps = 2
batch_size = 2
validation_batches = 1
"""
AWKWARD = "\ufeffdef naïve():\r\n\treturn '😀'\f\v\x07\x1b\u2028\x85\u2029\r\nx = \rlast"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "a.py"
    file.write_bytes(AWKWARD.encode())
    return file


# --- infill ------------------------------------------------------------------------------------------------------


def test_a_filled_file_through_a_pipe_is_the_file_and_the_hole(
    source: Path, directories: Callable[[str, str], Path]
) -> None:
    """In a real process, whose output is no terminal and whose locale is not UTF-8."""
    model = directories("three heads", "fp32")  # it has its graph: no torch is imported
    code = "from incoder_train.cli import app; app()"
    command = [
        sys.executable,
        "-c",
        code,
        "infill",
        source,
        "--at",
        "3:4",
        "--model",
        model,
        "--max-tokens",
        "6",
    ]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    result = subprocess.run(command, capture_output=True, timeout=120, check=True, env=environment)
    left, typed, right = AWKWARD.partition("x =")
    request = InfillRequest(left, right, header(file_attributes("a.py")), typed, max_tokens=6)
    hole = infill(load_model(model), request)
    assert hole.text
    assert result.stdout == (left + typed + hole.text + right).encode()
    assert result.stderr == b""
    assert source.read_bytes() == AWKWARD.encode()


def test_masks_are_filled_and_all_else_stays(tmp_path: Path, model_directory: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes((AWKWARD + "<mask>" + AWKWARD + "<mask>").encode())
    result = incoder("infill", file, "--model", model_directory, "--max-tokens", 4)
    assert result.exit_code == 0
    first, second, third = result.stdout_bytes.split(AWKWARD.encode())
    assert first == b""
    assert second
    assert b"<mask>" not in second + third


def test_json_says_how_each_hole_came_about(source: Path, tmp_path: Path, model_directory: Path) -> None:
    result = incoder(
        "infill", source, "--at", "3:4", "--json", "--one-line", "--model", model_directory, "--max-tokens", 6
    )
    assert result.exit_code == 0
    assert result.stdout.isascii()  # so that no terminal and no pipe can spoil it
    answer = json.loads(result.stdout)
    (hole,) = answer["holes"]
    left, typed, right = AWKWARD.partition("x =")
    assert answer["filled"] == left + typed + hole["text"] + right
    assert sorted(hole) == ["milliseconds", "stopped", "text", "tokens"]
    assert (hole["tokens"], hole["stopped"]) == (6, "budget")
    assert hole["milliseconds"] > 0
    (tmp_path / "masks.py").write_text("<mask> = 1\n<mask>")
    result = incoder("infill", tmp_path / "masks.py", "--json", "--model", model_directory, "--max-tokens", 3)
    assert len(json.loads(result.stdout)["holes"]) == 2


def test_sampling_is_repeatable(source: Path, model_directory: Path) -> None:
    def sample(seed: int) -> bytes:
        options = ("--temperature", 2, "--top-p", 1, "--seed", seed, "--max-tokens", 12, "--model", model_directory)
        return incoder("infill", source, "--at", "3:4", *options).stdout_bytes

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(4)}) > 1


@pytest.mark.parametrize("line", ["x = 1\n", "x = 1; "], ids=["short lines", "one line"])
def test_a_file_of_five_megabytes(tmp_path: Path, model_directory: Path, line: str) -> None:
    file, text = tmp_path / "large.py", line * 800_000
    file.write_text(text)
    place = "400001:1" if line.endswith("\n") else f"1:{len(text) // 2 + 1}"
    result = incoder("infill", file, "--at", place, "--json", "--model", model_directory, "--max-tokens", 3)
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    half = len(text) // 2
    assert answer["filled"] == text[:half] + answer["holes"][0]["text"] + text[half:]


def test_what_infill_refuses(source: Path, tmp_path: Path, model_directory: Path) -> None:
    (tmp_path / "latin1.py").write_bytes(b"# caf\xe9")
    (tmp_path / "binary.py").write_bytes(bytes(range(256)))
    for arguments, said in (
        ((tmp_path / "missing.py", "--at", "1:1"), "missing.py cannot be read: No such file or directory"),
        ((tmp_path, "--at", "1:1"), "cannot be read"),
        ((tmp_path / "latin1.py", "--at", "1:1"), "latin1.py is not UTF-8 (byte 5); convert it first"),
        ((tmp_path / "binary.py", "--at", "1:1"), "binary.py is not UTF-8"),
        ((source, "--at", "99:1"), "there is no line 99; the file has 3"),
        ((source, "--at", "1:99"), "line 1 has no column 99"),
        ((source, "--at", "here"), "'here' is no position; write LINE:COL"),
        ((source,), "has no <mask> to fill"),
        ((source, "--at", "1:1", "--model", tmp_path / "nowhere"), "nowhere is not a folder; give a model directory"),
        ((source, "--at", "1:1", "--model", tmp_path), "holds no model: config.json is missing"),
        ((source, "--at", "1:1", "--model", model_directory, "--max-tokens", 5000), "lower max_tokens"),
    ):
        assert_one_sentence(incoder("infill", *arguments), said)


def test_a_number_out_of_range_is_a_usage_error(source: Path) -> None:
    for arguments in (("--max-tokens", 0), ("--temperature", -1), ("--top-p", 0), ("--top-p", 2), ("--seed", -1)):
        result = incoder("infill", source, "--at", "1:1", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")


# --- training and bundling ---------------------------------------------------------------------------------------


def test_train_and_bundle(data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands as a person types them, in the folder where the recipe's paths start."""
    monkeypatch.chdir(data_directory)
    recipe = tmp_path / "short.toml"
    recipe.write_text(RECIPE)
    result = incoder("train", recipe, "--out", tmp_path / "runs" / "short")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "short: tiny, 158,976 parameters"
    checkpoint = Path(result.stdout.splitlines()[-1])
    assert checkpoint == tmp_path / "runs" / "short" / "step-00000002"
    assert_one_sentence(
        incoder("train", recipe, "--out", tmp_path / "runs" / "short"), "holds a run already; add --resume"
    )
    assert incoder("train", recipe, "--out", tmp_path / "runs" / "short", "--resume").stdout.splitlines()[-1] == str(
        checkpoint
    )

    result = incoder("bundle", checkpoint, "--out", tmp_path / "bundle")
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.stdout.splitlines()] == [
        str(tmp_path / "bundle" / name)
        for name in (
            "MODEL_CARD.md",
            "SHA256SUMS",
            "config.json",
            "model.onnx",
            "model.safetensors",
            "provenance.json",
            "tokenizer.json",
        )
    ]
    assert load_model(tmp_path / "bundle").config.context == 64
    (tmp_path / "hole.py").write_text("import <mask>\n")
    assert incoder("infill", tmp_path / "hole.py", "--model", tmp_path / "bundle", "--max-tokens", 3).exit_code == 0
    origin = json.loads((tmp_path / "bundle" / "provenance.json").read_text())
    assert origin["recipe"]["name"] == "short"
    assert origin["last_metrics"][0]["step"] == 2


def test_what_the_other_commands_refuse(data_directory: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "short"\n[run]\nstepps = 3\n')
    tokenizer = data_directory / "tokenizer.json"
    for arguments, said in (
        (("train", tmp_path / "missing.toml"), "missing.toml cannot be read: No such file"),
        (("train", recipe), f"{recipe}: run: unknown key 'stepps'; did you mean 'steps'?"),
        (("bundle", tmp_path / "nowhere"), "nowhere is not a folder"),
        (("bundle", tmp_path), "holds no model"),
        (("data", "shard", tmp_path / "nowhere", "--tokenizer", tokenizer), "no finished corpus in"),
        (("data", "shard", tmp_path, "--tokenizer", tmp_path / "none.json"), "none.json is missing"),
        (("tokenizer", "train", tmp_path / "nowhere"), "no finished corpus in"),
        (("data", "build", tmp_path / "none.toml", "--out", tmp_path / "corpus"), "none.toml"),
    ):
        assert_one_sentence(incoder(*arguments), said)
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]


def test_what_the_system_refuses(data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder below a file cannot be made."""
    monkeypatch.chdir(data_directory)
    recipe, out = tmp_path / "recipe.toml", tmp_path / "recipe.toml" / "run"
    recipe.write_text(RECIPE)
    assert_one_sentence(incoder("train", recipe, "--out", out), f"{out} could not be read or written: Not a directory")


def test_seeds_are_not_negative(tmp_path: Path, data_directory: Path) -> None:
    for arguments in (
        ("data", "shard", tmp_path, "--tokenizer", data_directory / "tokenizer.json"),
        ("tokenizer", "train", tmp_path),
    ):
        assert incoder(*arguments, "--seed", -1).exit_code == 2


def test_version() -> None:
    result = incoder("--version")
    assert result.exit_code == 0
    assert result.stdout.count(".") == 2


def test_without_the_extras_a_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "documents.json").write_text('{"documents": 0}')
    for package in ("zstandard", "torch", "matplotlib"):
        monkeypatch.setitem(sys.modules, package, None)
    for module in [name for name in sys.modules if name.startswith("incoder_train.corpus")]:
        monkeypatch.delitem(sys.modules, module)  # as if it had never been imported
    shard = ("data", "shard", tmp_path, "--tokenizer", "tokenizer.json")
    for arguments in (("data", "report", tmp_path), ("tokenizer", "train", tmp_path), shard):
        assert_one_sentence(
            incoder(*arguments), 'zstandard, which is not installed; run: pip install "incoder-lsp[train]"'
        )
