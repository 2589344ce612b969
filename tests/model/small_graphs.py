"""What tests of the graphs share: small networks as model directories with both graphs, and how far scores are off."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from incoder_model.checkpoint import (
    GRAPH,
    GRAPH_VNNI,
    WEIGHTS,
    load_transformer,
    read_config,
    save_model,
)
from incoder_model.config import ModelConfig
from incoder_model.onnx_evaluator import OnnxEvaluator
from incoder_model.onnx_graph import build_graph
from incoder_model.processor import runs_newer_graph
from incoder_model.tokenizer import Tokenizer
from incoder_model.transformer import Transformer, initialise
from incoder_model.weight_layout import fingerprint, read_layout

EXACT = 1e-4  # of float32 logits whose standard deviation is about 1
ROUNDED = {GRAPH: 0.03, GRAPH_VNNI: 0.05}  # of the standard deviation, for int8; the second rounds keys and values, too
FORMS = [
    GRAPH,
    pytest.param(GRAPH_VNNI, marks=pytest.mark.skipif(not runs_newer_graph(), reason="it cannot run here")),
]
SHAPES = {
    "one head": ModelConfig(vocab_size=920, d_model=32, layers=1, heads=1, d_ffn=128, context=96),
    "three heads": ModelConfig(vocab_size=920, d_model=192, layers=3, heads=3, d_ffn=768, context=96),
    "no blocks of 16": ModelConfig(vocab_size=920, d_model=40, layers=2, heads=1, d_ffn=72, context=96),
}
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8}
TOKENS = np.random.default_rng(0).integers(300, 900, 90).tolist()


def add_graphs(directory: Path) -> Path:
    """Both, also where the network is too narrow to gain by the second."""
    with (directory / WEIGHTS).open("rb") as file:
        layout = read_layout(file)
    for name in (GRAPH, GRAPH_VNNI):
        graph = build_graph(read_config(directory), layout, WEIGHTS, newer=name == GRAPH_VNNI)
        (directory / name).write_bytes(graph)
    return directory


def evaluator(directory: Path, threads: int = 1, graph: str = GRAPH) -> OnnxEvaluator:
    config = read_config(directory)
    with (directory / WEIGHTS).open("rb") as file:
        return OnnxEvaluator(directory / graph, config, fingerprint(config, read_layout(file)), threads)


def logits_in_torch(directory: Path, tokens: list[int]) -> np.ndarray:
    network, _ = load_transformer(directory)
    with torch.inference_mode():
        return network.logits(network(torch.tensor([tokens])))[0].numpy()


def off(a: np.ndarray, b: np.ndarray) -> float:
    """The root of the mean squared difference, in standard deviations of `b`."""
    return float(np.sqrt(np.square(a - b).mean()) / b.std())


def make_directory(path: Path, shape: str, dtype: str, tokenizer: Tokenizer) -> Path:
    torch.manual_seed(3)
    network = initialise(Transformer(dataclasses.replace(SHAPES[shape], vocab_size=tokenizer.vocab_size)))
    with torch.no_grad():
        for weight in network.parameters():  # biases and norms that matter
            weight.add_(torch.randn_like(weight) * 0.05)
    save_model(path, network, tokenizer, dtype=TYPES[dtype])
    return add_graphs(path)
