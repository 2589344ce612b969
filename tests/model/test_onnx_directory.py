"""The graphs in a model directory: which there are, which one runs, and that whatever does not fit is one sentence."""

import dataclasses
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from small_graphs import TOKENS, add_graphs, evaluator

from incoder_model import processor
from incoder_model.checkpoint import (
    GRAPH,
    GRAPH_VNNI,
    WEIGHTS,
    ModelDirectoryError,
    graph_files,
    load_transformer,
    read_config,
    save_model,
)
from incoder_model.config import ModelConfig
from incoder_model.loading import load_model
from incoder_model.tokenizer import Tokenizer
from incoder_model.transformer import Transformer, initialise

# --- two graphs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d_model, dtype, names", [
    (512, torch.int8, {GRAPH, GRAPH_VNNI}), (512, torch.float16, {GRAPH}), (64, torch.int8, {GRAPH})
])  # fmt: skip
def test_who_gains_by_a_second_graph_has_one(
    tokenizer: Tokenizer, tmp_path: Path, d_model: int, dtype: torch.dtype, names: set[str]
) -> None:
    """Both are small, and both find their weights in the same bytes of the same file."""
    config = ModelConfig(tokenizer.vocab_size, d_model=d_model, layers=1, heads=d_model // 64, d_ffn=64, context=32)
    save_model(tmp_path / "m", initialise(Transformer(config)), tokenizer, dtype=dtype, graph=True)
    graphs = {path.name: onnx.load(path, load_external_data=False) for path in (tmp_path / "m").glob("*.onnx")}
    assert graphs.keys() == names
    places = [
        {tuple((entry.key, entry.value) for entry in tensor.external_data) for tensor in graph.graph.initializer}
        for graph in graphs.values()
    ]
    assert all(place == places[0] for place in places)
    assert load_model(tmp_path / "m", engine="onnx").engine.prefill(TOKENS[:5]).shape == (config.vocab_size,)


def test_the_processor_decides_between_them(
    directories: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = shutil.copytree(directories("one head", "int8"), tmp_path / "m")
    (directory / GRAPH_VNNI).write_bytes(b"not a graph")
    monkeypatch.setattr(processor, "exact_products", lambda: False)
    assert load_model(directory, engine="onnx")
    monkeypatch.setattr(processor, "exact_products", lambda: True)
    with pytest.raises(ModelDirectoryError, match=rf"{GRAPH_VNNI} does not fit its folder.*convert"):
        load_model(directory, engine="onnx")
    (directory / GRAPH_VNNI).unlink()  # as in a directory that was made before there was a second graph
    assert load_model(directory, engine="onnx")


# --- what does not fit is told -----------------------------------------------------------------------------------


def test_weights_may_lie_anywhere_in_their_file(directories: Callable[[str, str], Path], tmp_path: Path) -> None:
    """A header of any length puts the values at odd places."""
    directory = shutil.copytree(directories("three heads", "int8"), tmp_path / "odd")
    content = (directory / WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = content[8 : 8 + size].rstrip()
    header += b" " * (1 - len(header) % 2)
    (directory / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size :])
    found = evaluator(add_graphs(directory)).evaluate_each(TOKENS)
    assert np.array_equal(found, evaluator(directories("three heads", "int8")).evaluate_each(TOKENS))


def cut(file: str, share: float) -> Callable[[Path], object]:
    def edit(directory: Path) -> None:
        content = (directory / file).read_bytes()
        (directory / file).write_bytes(content[: int(len(content) * share)])

    return edit


def replace_weights(directory: Path) -> None:
    """By a model of the same shape whose tensors lie elsewhere."""
    network, tokenizer = load_transformer(directory)
    save_model(directory.with_name("other"), network, tokenizer, dtype=torch.float16)
    shutil.copy(directory.with_name("other") / WEIGHTS, directory / WEIGHTS)


def change_config(directory: Path) -> None:
    values = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**values, "context": 48}))


WRONG = {
    "no graph": (lambda directory: (directory / GRAPH).unlink(), rf"has no {GRAPH}.*convert .* --to onnx"),
    "half a graph": (cut(GRAPH, 0.5), r"cannot load it .*convert"),
    "an empty graph": (cut(GRAPH, 0), r"does not fit its folder.*convert"),
    "other weights": (replace_weights, r"built for other weights.*convert"),
    "another shape": (change_config, r"built for other weights.*convert"),
    "half the weights": (cut(WEIGHTS, 0.5), r"model\.safetensors is damaged \(it ends before"),
    "no header": (cut(WEIGHTS, 0.0), r"model\.safetensors is damaged \(it does not begin"),
    "no weights": (lambda directory: (directory / WEIGHTS).unlink(), r"has no model\.safetensors"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_sentence(directories: Callable[[str, str], Path], tmp_path: Path, name: str) -> None:
    damage, message = WRONG[name]
    directory = shutil.copytree(directories("one head", "int8"), tmp_path / "m")
    (directory / GRAPH_VNNI).unlink()
    damage(directory)
    with pytest.raises(ModelDirectoryError, match=message) as caught:
        load_model(directory, engine="onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes, message",
    [({"layers": 2}, r"lacks the weight layers\.1\."), ({"heads": 8}, "heads of 4 .* multiple of 8")],
)
def test_no_graph_is_built_for_what_cannot_run(
    directories: Callable[[str, str], Path], changes: dict[str, int], message: str
) -> None:
    directory = directories("one head", "int8")
    config = dataclasses.replace(read_config(directory), **changes)
    with (directory / WEIGHTS).open("rb") as file, pytest.raises(ValueError, match=message):
        graph_files(config, file)
