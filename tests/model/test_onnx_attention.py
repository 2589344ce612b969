"""Keys and values in bytes: what the buffers hold is what the network computes, however many tokens are read at a time."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small_graphs import add_graphs, evaluator

from incoder_model import onnx_attention
from incoder_model.checkpoint import BUNDLED, GRAPH_VNNI, load_transformer
from incoder_model.onnx_attention import FEW, RANGE
from incoder_model.onnx_evaluator import OnnxEvaluator
from incoder_model.processor import runs_newer_graph
from incoder_model.quantise import LARGEST

pytestmark = pytest.mark.skipif(not runs_newer_graph(), reason="the newer graph cannot run here")

COUNT = 300  # tokens


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> OnnxEvaluator:
    """The bundled model, by a graph that it is too narrow to have."""
    directory = add_graphs(shutil.copytree(BUNDLED, tmp_path_factory.mktemp("bundled") / "m"))
    return evaluator(directory, graph=GRAPH_VNNI)


@pytest.fixture(scope="module")
def tokens() -> list[int]:
    return load_transformer(BUNDLED)[1].encode(Path(onnx_attention.__file__).read_text(encoding="utf-8"))[:COUNT]


def held(found: OnnxEvaluator, tokens: list[int], at_once: int) -> dict[str, np.ndarray]:
    """(heads, COUNT, head_dim) of each buffer, after `tokens` were read so many at a time."""
    found.truncate(0)
    for start in range(0, COUNT, at_once):
        found.evaluate(tokens[start : start + at_once])
    return {name: array[0, :, :COUNT].copy() for name, array in found._held.arrays.items()}


@pytest.mark.parametrize("at_once", [1, FEW, FEW + 1, 128])
def test_tokens_are_remembered_alike_however_many_come_at_once(
    newer: OnnxEvaluator, tokens: list[int], at_once: int
) -> None:
    """Almost: what is rounded up here and down there moves some bytes of the next layers, and more of those after them."""
    whole = held(newer, tokens, COUNT)
    for name, array in held(newer, tokens, at_once).items():
        assert array.dtype == np.int8
        steps = np.abs(array.astype(int) - whole[name])
        if name.endswith((".0", ".1")):
            assert (steps > 0).mean() < 0.01, name
        assert steps.mean() < 0.5, name
        assert steps.max() < 10, name


def test_the_bytes_are_the_networks_keys_and_values(newer: OnnxEvaluator, tokens: list[int]) -> None:
    network, _ = load_transformer(BUNDLED)
    weights = {name.removeprefix("layers.0."): weight for name, weight in network.state_dict().items()}
    norm, shift = (weights[f"self_attn_layer_norm.{name}"] for name in ("weight", "bias"))
    bytes_of, place = held(newer, tokens, COUNT), torch.arange(COUNT)
    with torch.inference_mode():
        embedded = weights["embed_tokens.weight"][tokens] * network.embed_scale + network.positions[2:][place]
        normal = torch.nn.functional.layer_norm(embedded, norm.shape, norm, shift)  # (COUNT, d_model)
    for part, name in (("k", "keys.0"), ("v", "values.0")):
        matrix, bias = (weights[f"self_attn.{part}_proj.{kind}"] for kind in ("weight", "bias"))
        scale = (RANGE[part] * (matrix * norm).norm(dim=1) + (matrix @ shift + bias).abs()) / LARGEST
        expected = (normal @ matrix.T + bias) / scale
        found = bytes_of[name].transpose(1, 0, 2).reshape(COUNT, -1)
        assert np.abs(found - expected.numpy()).max() < 2  # half a step, and what the rounding of activations adds


def test_no_byte_of_the_bundled_model_is_at_its_end(newer: OnnxEvaluator, tokens: list[int]) -> None:
    assert max(np.abs(array.astype(int)).max() for array in held(newer, tokens, COUNT).values()) < LARGEST
