"""A model on disk: a folder with `config.json`, `model.safetensors` and `tokenizer.json`; with `model.onnx`, too, it runs in
ONNX Runtime and needs no torch. That file is the network's graph, whose weights are those in `model.safetensors`;
`model.vnni.onnx` is another one of the same network, for processors that have whole-number products (see `onnx_products`).

Weights are read from safetensors only, so opening a stranger's model directory runs no code of theirs. Whatever is wrong
with a directory is one sentence in a ModelDirectoryError. Matrices may be stored in int8: then NAME has whole numbers, and
NAME.scale a float for each of its rows (see `quantise`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from incoder_model.config import ModelConfig
from incoder_model.quantise import SCALE, dequantise, quantise
from incoder_model.tokenizer import Tokenizer, TokenizerError, load_tokenizer
from incoder_model.weight_layout import read_layout

if TYPE_CHECKING:
    import torch

    from incoder_model.transformer import Transformer

BUNDLED = Path(__file__).parent / "bundled"
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
GRAPH, GRAPH_VNNI = "model.onnx", "model.vnni.onnx"
FORMAT = "incoder-model-1"


class ModelDirectoryError(Exception):
    """Why a model directory cannot be used and what to do, in one sentence."""


def load_transformer(
    directory: Path, dtype: torch.dtype | None = None, device: str = "cpu", *, int8: bool = False
) -> tuple[Transformer, Tokenizer]:
    """The network in `dtype` (float32 if none is given) on `device`, in evaluation mode, and its tokenizer.

    int8: the layers' weights stay in eight bits, or are brought to them (see `int8_linear`)."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from incoder_model.int8_linear import hold_int8
    from incoder_model.transformer import Transformer

    directory = settled(directory)
    config = read_config(directory)
    tokenizer = read_tokenizer(directory, config)
    try:
        weights = load_file(directory / WEIGHTS)
    except FileNotFoundError:
        raise ModelDirectoryError(f"{directory} has no {WEIGHTS}; copy the whole model directory again") from None
    except (OSError, SafetensorError) as error:
        raise ModelDirectoryError(f"{directory / WEIGHTS} is damaged ({error}); copy the file again") from None
    with torch.device("meta"):
        model = Transformer(config)
    if int8:
        hold_int8(model, weights, dtype or torch.float32)
    weights = as_network(weights, directory, dtype or torch.float32)
    check_weights(weights, model, directory)
    model.load_state_dict(weights, assign=True)
    model.rebuild_positions()
    return model.eval().requires_grad_(False).to(device), tokenizer


def read_config(directory: Path) -> ModelConfig:
    if not directory.is_dir():
        raise ModelDirectoryError(
            f"{directory} is not a folder; give a model directory that `incoder train` or `incoder bundle` made"
        )
    try:
        values: dict[str, Any] = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.get("model_type") == "xglm":
            raise ValueError("it is in Hugging Face's layout; turn it into a model directory with `incoder convert`")
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f'it has no "format": "{FORMAT}"')
        return ModelConfig.from_dict(values)
    except FileNotFoundError:
        raise ModelDirectoryError(f"{directory} holds no model: {CONFIG} is missing") from None
    except (OSError, ValueError, TypeError) as error:
        raise ModelDirectoryError(f"{directory / CONFIG} does not describe an InCoder model: {error}") from None


def read_tokenizer(directory: Path, config: ModelConfig) -> Tokenizer:
    try:
        tokenizer = load_tokenizer(directory / TOKENIZER)
        if tokenizer.vocab_size != config.vocab_size:
            raise TokenizerError(f"it has {tokenizer.vocab_size} tokens, {CONFIG} says {config.vocab_size}")
    except TokenizerError as error:
        raise ModelDirectoryError(f"{directory} has no usable {TOKENIZER}: {error}") from None
    return tokenizer


def as_network(weights: Mapping[str, torch.Tensor], directory: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Stored weights as a network has them, in one type: int8 matrices times their scales."""
    import torch

    quantised = sorted(name for name, weight in weights.items() if weight.dtype is torch.int8)
    aside = {*quantised, *(name + SCALE for name in quantised)}
    whole = {name: weight.to(dtype) for name, weight in weights.items() if name not in aside}
    for name in quantised:
        weight, scale = weights[name], weights.get(name + SCALE)
        if scale is None or scale.shape != weight.shape[:1] or weight.dim() != 2 or not scale.is_floating_point():
            found = "missing" if scale is None else f"{tuple(scale.shape)} of {scale.dtype}"
            raise ModelDirectoryError(
                f"{directory / WEIGHTS} has {name} {tuple(weight.shape)} in int8, but {name + SCALE} is {found}; a matrix "
                "and a float for each of its rows were expected; bundle the model again"
            )
        whole[name] = torch.from_numpy(dequantise(weight.numpy(), scale.float().numpy())).to(dtype)
    return whole


def check_weights(weights: Mapping[str, torch.Tensor], model: torch.nn.Module, directory: Path) -> None:
    expected = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise ModelDirectoryError(
            f"{directory / WEIGHTS} does not fit {CONFIG}: {wrong[0]} is {found.get(wrong[0], 'missing')}, "
            f"{expected.get(wrong[0], 'nothing')} was expected; the two files are of different models"
        )


def as_stored(weights: Mapping[str, torch.Tensor], dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
    """Weights in `dtype` (None: as they are). In int8 are the matrices, with their scales; biases and norms are then float32.

    Raises ValueError when a matrix that is to be int8 has a weight that is no finite number.
    """
    import torch

    if dtype is not torch.int8:
        return {name: weight.detach().to("cpu", dtype).contiguous() for name, weight in weights.items()}
    stored = {name: weight.detach().to("cpu", torch.float32).contiguous() for name, weight in weights.items()}
    for name, weight in list(stored.items()):
        if weight.dim() == 2:
            values, scales = quantise(weight.numpy())
            stored |= {name: torch.from_numpy(values), name + SCALE: torch.from_numpy(scales)}
    return stored


def model_files(
    config: ModelConfig, weights: Mapping[str, torch.Tensor], tokenizer: Tokenizer, *, dtype: torch.dtype | None = None
) -> dict[str, bytes]:
    """The files of a model directory, by name, but for the graphs. `dtype` is for `as_stored`."""
    from safetensors.torch import save

    return {
        CONFIG: (json.dumps({"format": FORMAT, **config.to_dict()}, indent=2) + "\n").encode(),
        TOKENIZER: tokenizer.to_json().encode(),
        WEIGHTS: save(as_stored(weights, dtype)),
    }


def graph_files(config: ModelConfig, weights: BinaryIO) -> dict[str, bytes]:
    """GRAPH, and GRAPH_VNNI where that is faster, for a configuration and WEIGHTS, opened, whose header is read. Needs the
    package onnx.

    Raises ValueError for weights that are not those of the configuration, and for a shape that ONNX Runtime does not take.
    """
    from incoder_model.onnx_graph import build_graph, gains

    layout = read_layout(weights)
    files = {GRAPH: build_graph(config, layout, WEIGHTS)}
    if gains(config, layout):
        files[GRAPH_VNNI] = build_graph(config, layout, WEIGHTS, newer=True)
    return files


def save_model(
    directory: Path,
    model: Transformer,
    tokenizer: Tokenizer,
    *,
    dtype: torch.dtype | None = None,
    extra: Mapping[str, bytes] | None = None,
    graph: bool = False,
) -> None:
    """Write a model directory, whole or not at all. `dtype` is for `as_stored`; `extra` files, by name, come along.

    Raises OSError, and with a `graph` what `graph_files` raises.
    """
    files = model_files(model.config, model.state_dict(), tokenizer, dtype=dtype)
    if graph:
        files |= graph_files(model.config, BytesIO(files[WEIGHTS]))
    write_directory(directory, {**files, **(extra or {})})


def write_directory(directory: Path, files: Mapping[str, bytes]) -> None:
    """The folder appears under its name, in the place of the one that is there, when every file is on the disk."""
    with replacing(directory) as unfinished:
        write_files(unfinished, files)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def replacing(directory: Path) -> Iterator[Path]:
    """A new folder to write into. It takes the place of `directory` when the block ends, and is removed when the block fails."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    unfinished = directory.with_name(f".{directory.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
        old = _set_aside(directory)
        if directory.exists():
            shutil.rmtree(old, ignore_errors=True)
            directory.rename(old)
        unfinished.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def settled(directory: Path) -> Path:
    """Where to read a model directory from: as it is, or, if a kill came in the moment of its replacement, the old one."""
    return _set_aside(directory) if not directory.exists() and _set_aside(directory).exists() else directory


def _set_aside(directory: Path) -> Path:
    """Where a model directory is for the moment in which a new one takes its place."""
    return directory.parent / f".{directory.name}.old"
