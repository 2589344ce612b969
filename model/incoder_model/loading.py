"""A model directory comes in, a Model that infills goes out: in ONNX Runtime, or in torch, which may have a GPU.

large, and torch has a GPU     torch, there
the directory has a graph      ONNX Runtime, on the CPU; torch is not imported
else                           torch, on the CPU

Of two graphs ONNX Runtime gets the faster one that it computes rightly on this processor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from incoder_model.checkpoint import (
    BUNDLED,
    GRAPH,
    GRAPH_VNNI,
    WEIGHTS,
    ModelDirectoryError,
    load_transformer,
    read_config,
    read_tokenizer,
    settled,
)
from incoder_model.config import ModelConfig
from incoder_model.engine import Engine, affordable_sequences
from incoder_model.infill import Model
from incoder_model.placement import Device, Placement, find_gpu, place
from incoder_model.weight_layout import fingerprint, read_layout

PARAMETERS_PER_THREAD = 20_000_000


def load_model(
    directory: Path | None = None,
    engine: Literal["auto", "onnx", "torch"] = "auto",
    device: Device = "auto",
    sequences: int | None = None,
) -> Model:
    """The model in `directory` (by default the bundled one), ready to infill. Raises ModelDirectoryError.

    sequences: that the engine keeps at most; by default as many as are affordable.
    """
    directory = settled(directory or BUNDLED)
    config = read_config(directory)
    if engine == "onnx":
        return _in_onnx_runtime(directory, config, sequences)
    try:
        where = place(config, find_gpu(config, device), device)
    except ValueError as error:
        raise ModelDirectoryError(f"{directory} cannot run on the GPU: {error}") from None
    if engine == "auto" and where.device == "cpu" and (directory / GRAPH).exists():
        return _in_onnx_runtime(directory, config, sequences)
    return _in_torch(directory, where, sequences)


def _in_onnx_runtime(directory: Path, config: ModelConfig, sequences: int | None) -> Model:
    from incoder_model.onnx_evaluator import OnnxEvaluator
    from incoder_model.processor import runs_newer_graph

    tokenizer = read_tokenizer(directory, config)
    graph = directory / GRAPH
    again = f"make it again: incoder convert {directory} {directory} --to onnx"
    if not graph.exists():
        raise ModelDirectoryError(f"{directory} has no {GRAPH}, which ONNX Runtime needs; {again}")
    try:
        with (directory / WEIGHTS).open("rb") as file:
            built_for = fingerprint(config, read_layout(file))
    except FileNotFoundError:
        raise ModelDirectoryError(f"{directory} has no {WEIGHTS}; copy the whole model directory again") from None
    except (OSError, ValueError) as error:
        raise ModelDirectoryError(f"{directory / WEIGHTS} is damaged ({error}); copy the file again") from None
    if (directory / GRAPH_VNNI).exists() and runs_newer_graph():
        graph = directory / GRAPH_VNNI
    try:
        evaluator = OnnxEvaluator(graph, config, built_for)
    except ValueError as error:
        raise ModelDirectoryError(f"{graph} does not fit its folder: {error}; {again}") from None
    sequences = sequences or affordable_sequences(config, evaluator.number_bytes)
    return Model(config, tokenizer, Engine(evaluator, evaluator.another, sequences))


def _in_torch(directory: Path, where: Placement, sequences: int | None) -> Model:
    try:
        from incoder_model.torch_evaluator import TorchEvaluator
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModelDirectoryError(
            f"{directory} has no {GRAPH}, and without one a model needs PyTorch, which is not installed; run: "
            'pip install "incoder-lsp[torch]"'
        ) from None
    import torch

    transformer, tokenizer = load_transformer(directory, where.torch_dtype, where.device, int8=where.int8)
    # One token through a small network is too little work to share out: threads cost more in waiting than they compute.
    torch.set_num_threads(max(1, min(torch.get_num_threads(), transformer.config.parameters // PARAMETERS_PER_THREAD)))
    config, number_bytes = transformer.config, transformer.embed_tokens.weight.dtype.itemsize
    sequences = sequences or affordable_sequences(config, number_bytes)
    return Model(config, tokenizer, Engine(TorchEvaluator(transformer), lambda: TorchEvaluator(transformer), sequences))
