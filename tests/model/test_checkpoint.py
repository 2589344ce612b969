"""A model on disk: it comes back as it was, whatever is wrong with it is one sentence, and no accident loses the old one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file, save_file

from incoder_model.checkpoint import (
    CONFIG,
    FORMAT,
    TOKENIZER,
    WEIGHTS,
    ModelDirectoryError,
    load_transformer,
    save_model,
)
from incoder_model.infill import InfillRequest, infill
from incoder_model.loading import load_model
from incoder_model.tokenizer import Tokenizer
from incoder_model.transformer import Transformer


def weights_of(directory: Path) -> dict[str, torch.Tensor]:
    return load_transformer(directory)[0].state_dict()


def same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- there and back ----------------------------------------------------------------------------------------------


def test_a_model_comes_back_as_it_was(model_directory: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    network, loaded = load_transformer(model_directory)
    assert loaded.to_json() == tokenizer.to_json()
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    save_model(tmp_path / "copy", network, loaded, extra={"note.txt": b"kept"})
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [CONFIG, WEIGHTS, "note.txt", TOKENIZER]
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        assert (tmp_path / "copy" / name).read_bytes() == (model_directory / name).read_bytes()
    tokens = torch.arange(40)[None]
    assert torch.equal(load_transformer(tmp_path / "copy")[0](tokens), network(tokens))


def test_weights_in_half_the_bytes(model_directory: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    network, _ = load_transformer(model_directory)
    save_model(tmp_path / "half", network, tokenizer, dtype=torch.bfloat16)
    assert (tmp_path / "half" / WEIGHTS).stat().st_size < 0.6 * (model_directory / WEIGHTS).stat().st_size
    loaded = load_transformer(tmp_path / "half")[0]
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    for name, weight in loaded.named_parameters():
        assert torch.equal(weight, network.state_dict()[name].bfloat16().float())


def test_weights_in_a_quarter_of_the_bytes(model_directory: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Matrices in int8 with a scale for each row, which NumPy alone can read; the rest as it was."""
    network, _ = load_transformer(model_directory)
    save_model(tmp_path / "small", network, tokenizer, dtype=torch.int8)
    assert (tmp_path / "small" / WEIGHTS).stat().st_size < 0.3 * (model_directory / WEIGHTS).stat().st_size
    stored = load_arrays(tmp_path / "small" / WEIGHTS)
    loaded = weights_of(tmp_path / "small")
    assert loaded.keys() == network.state_dict().keys()
    for name, weight in network.named_parameters():
        assert loaded[name].dtype is torch.float32
        if weight.dim() == 1:
            assert torch.equal(loaded[name], weight)
            assert name + ".scale" not in stored
        else:
            values, scales = stored[name], stored[name + ".scale"]
            assert (values.dtype, scales.dtype, scales.shape) == (np.int8, np.float32, weight.shape[:1])
            assert values.min() >= -127
            assert np.array_equal(loaded[name].numpy(), values * scales[:, None])
            assert ((loaded[name] - weight).abs() <= torch.from_numpy(scales)[:, None] * 0.500001).all()
    save_model(tmp_path / "again", load_transformer(tmp_path / "small")[0], tokenizer, dtype=torch.int8)
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (tmp_path / "small" / WEIGHTS).read_bytes()
    assert infill(load_model(tmp_path / "small"), InfillRequest("import math\n", "\n", max_tokens=5)).text


def test_a_loaded_model_infills(model_directory: Path) -> None:
    model = load_model(model_directory)
    assert infill(model, InfillRequest("import math\n", "\n", max_tokens=5)).text


def test_opening_a_model_runs_no_code_of_its_own(model_directory: Path, tmp_path: Path) -> None:
    """A pickle in the place of the weights is damage, not a program."""
    directory = shutil.copytree(model_directory, tmp_path / "m")
    torch.save({"x": torch.ones(2)}, directory / WEIGHTS)
    with pytest.raises(ModelDirectoryError, match=r"model\.safetensors is damaged"):
        load_model(directory)


# --- what is wrong is said in one sentence -----------------------------------------------------------------------

GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 12, "n_embd": 768, "vocab_size": 50257}


def edit_config(**changes: object) -> Callable[[Path], object]:
    def edit(directory: Path) -> None:
        values = json.loads((directory / CONFIG).read_text())
        (directory / CONFIG).write_text(json.dumps({**values, **changes}))

    return edit


def edit_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def edit(directory: Path) -> None:
        weights = {name: weight.clone() for name, weight in load_file(directory / WEIGHTS).items()}
        change(weights)
        save_file(weights, directory / WEIGHTS)

    return edit


def cut(name: str, size: int) -> Callable[[Path], object]:
    return lambda directory: os.truncate(directory / name, size)


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda directory: (directory / name).write_bytes(content)


def to_folder(name: str) -> Callable[[Path], object]:
    def edit(directory: Path) -> None:
        (directory / name).unlink()
        (directory / name).mkdir()

    return edit


DAMAGES = {
    "config missing": (lambda d: (d / CONFIG).unlink(), "holds no model: config.json is missing"),
    "config empty": (cut(CONFIG, 0), "does not describe an InCoder model"),
    "config cut": (cut(CONFIG, 30), "does not describe an InCoder model"),
    "config of gpt2": (write(CONFIG, json.dumps(GPT2).encode()), 'it has no "format"'),
    "config a list": (write(CONFIG, b"[]"), 'it has no "format"'),
    "config not UTF-8": (write(CONFIG, b"\xff\xfe\x00"), "does not describe an InCoder model"),
    "config a folder": (to_folder(CONFIG), "does not describe an InCoder model"),
    "config of the future": (edit_config(format="incoder-model-9"), f'it has no "format": "{FORMAT}"'),
    "config with a typing error": (edit_config(contxt=3), "unknown model setting 'contxt'; did you mean 'context'?"),
    "config with text for a number": (edit_config(dropout="none"), "does not describe an InCoder model"),
    "config with no layers": (edit_config(layers=0), "layers is 0"),
    "config with null": (edit_config(layers=None), "layers is None"),
    "another vocabulary size": (edit_config(vocab_size=1000), "it has 920 tokens, config.json says 1000"),
    "another width": (edit_config(d_model=32), "does not fit config.json: embed_tokens.weight is (920, 64), (920, 32)"),
    "more layers": (
        edit_config(layers=3),
        "does not fit config.json: layers.2.fc1.bias is missing, (256,) was expected",
    ),
    "fewer layers": (edit_config(layers=1), "layers.1.fc1.bias is (256,), nothing was expected"),
    "tokenizer missing": (lambda d: (d / TOKENIZER).unlink(), "tokenizer.json is missing"),
    "tokenizer cut": (cut(TOKENIZER, 1000), "no usable tokenizer.json"),
    "tokenizer foreign": (write(TOKENIZER, b'{"version": "1.0"}'), "no usable tokenizer.json"),
    "weights missing": (lambda d: (d / WEIGHTS).unlink(), "has no model.safetensors; copy the whole"),
    "weights empty": (cut(WEIGHTS, 0), "model.safetensors is damaged"),
    "weights cut in the header": (cut(WEIGHTS, 100), "model.safetensors is damaged"),
    "weights cut at the end": (cut(WEIGHTS, 100_000), "model.safetensors is damaged"),
    "weights that are text": (write(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\n" * 4), "is damaged"),
    "weights a folder": (to_folder(WEIGHTS), "model.safetensors is damaged"),
    "a weight missing": (edit_weights(lambda w: w.pop("layer_norm.bias")), "layer_norm.bias is missing"),
    "a weight too many": (
        edit_weights(lambda w: w.update({"lm_head.weight": torch.ones(2)})),
        "lm_head.weight is (2,)",
    ),
}

FC1 = "layers.0.fc1.weight"
INT8_DAMAGES = {
    "a scale missing": (
        lambda w: w.pop(f"{FC1}.scale"),
        f"has {FC1} (256, 64) in int8, but {FC1}.scale is missing; a matrix and a float for each of its rows were expected",
    ),
    "too few scales": (
        lambda w: w.update({f"{FC1}.scale": torch.ones(255)}),
        f"{FC1}.scale is (255,) of torch.float32",
    ),
    "scales as a column": (
        lambda w: w.update({f"{FC1}.scale": torch.ones(256, 1)}),
        f"{FC1}.scale is (256, 1) of torch.float32",
    ),
    "scales that are whole numbers": (
        lambda w: w.update({f"{FC1}.scale": torch.ones(256, dtype=torch.int32)}),
        f"{FC1}.scale is (256,) of torch.int32",
    ),
    "a bias in int8": (
        lambda w: w.update(
            {"layer_norm.bias": torch.ones(64, dtype=torch.int8), "layer_norm.bias.scale": torch.ones(64)}
        ),
        "has layer_norm.bias (64,) in int8",
    ),
    "a scale of nothing": (
        lambda w: w.update({f"{FC1}s.scale": torch.ones(256)}),
        f"{FC1}s.scale is (256,), nothing was expected",
    ),
    "a scale of floats": (
        lambda w: w.update({FC1: torch.ones(256, 64)}),
        f"{FC1}.scale is (256,), nothing was expected",
    ),
    "another matrix": (
        lambda w: w.update({FC1: torch.ones(256, 32, dtype=torch.int8)}),
        f"does not fit config.json: {FC1} is (256, 32), (256, 64) was expected",
    ),
}


@pytest.fixture(scope="session")
def int8_directory(model_directory: Path, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("int8") / "tiny"
    save_model(directory, load_transformer(model_directory)[0], tokenizer, dtype=torch.int8)
    return directory


@pytest.mark.parametrize("damage", INT8_DAMAGES)
def test_a_damaged_directory_in_int8(int8_directory: Path, tmp_path: Path, damage: str) -> None:
    spoil, said = INT8_DAMAGES[damage]
    directory = shutil.copytree(int8_directory, tmp_path / "model")
    edit_weights(spoil)(directory)
    with pytest.raises(ModelDirectoryError) as error:
        load_model(directory)
    sentence = str(error.value)
    assert said in sentence
    assert str(directory / WEIGHTS) in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_directory(model_directory: Path, tmp_path: Path, damage: str) -> None:
    spoil, said = DAMAGES[damage]
    directory = shutil.copytree(model_directory, tmp_path / "model")
    spoil(directory)
    with pytest.raises(ModelDirectoryError) as error:
        load_model(directory)
    sentence = str(error.value)
    assert said in sentence
    assert str(directory) in sentence
    assert "\n" not in sentence


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for name, said in (("missing", "is not a folder"), ("file", "is not a folder"), ("empty", "holds no model")):
        with pytest.raises(ModelDirectoryError, match=f"{name} {said}"):
            load_model(tmp_path / name)


def test_without_torch(model_directory: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from incoder_model.loading import load_model; from pathlib import Path\n"
    code += "load_model(Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(model_directory)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.stderr.splitlines()[-1].endswith('not installed; run: pip install "incoder-lsp[torch]"')


# --- accidents ---------------------------------------------------------------------------------------------------

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and limits on file size")


def in_a_child(action: Callable[[], object]) -> int:
    """The exit status of a process of its own, forked from this one, in which `action` runs."""
    if not (child := os.fork()):
        try:
            action()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def other(model_directory: Path) -> Transformer:
    """A model like that in the model directory, but every weight is another."""
    network, _ = load_transformer(model_directory)
    for parameter in network.parameters():
        parameter.add_(1)
    return network


@needs_fork
def test_a_full_disk_leaves_the_old_model(
    model_directory: Path, other: Transformer, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """No file may grow beyond 100 kB in the process that writes: the weights do not fit."""
    import resource

    directory = shutil.copytree(model_directory, tmp_path / "model")

    def save_with_little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for target in (directory, tmp_path / "new"):
            with pytest.raises(OSError, match="File too large"):
                save_model(target, other, tokenizer)

    assert in_a_child(save_with_little_room) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert same_weights(weights_of(directory), weights_of(model_directory))


@needs_fork
def test_a_kill_while_saving_leaves_the_old_model_or_the_new(
    model_directory: Path, other: Transformer, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """A process is killed in front of each single change to the file system in turn."""
    directory = tmp_path / "model"

    def save_until(moment: int) -> None:
        changes = iter(range(moment))

        def kill(event: str, _: object) -> None:
            if event in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"} and next(changes, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        save_model(directory, other, tokenizer)

    outcomes, status = [], -signal.SIGKILL
    while status:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(model_directory, directory)
        moment = len(outcomes)
        status = in_a_child(lambda moment=moment: save_until(moment))
        assert status in (0, -signal.SIGKILL)
        found = weights_of(directory)
        outcomes.append("new" if same_weights(found, other.state_dict()) else "old")
        assert outcomes[-1] == "new" or same_weights(found, weights_of(model_directory))
    assert outcomes == sorted(outcomes, reverse=True)  # old at first, from some moment on new
    assert outcomes.count("old") > 5
    assert outcomes.count("new") > 1
    save_model(directory, other, tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]  # what the kills left is gone
