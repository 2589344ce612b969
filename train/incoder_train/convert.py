"""A model changes its layout: Hugging Face's folder of an InCoder becomes a model directory of ours, or one of ours becomes such
a folder. The small files are made in memory, the weights copied tensor by tensor; the result appears when all of it is whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from incoder_model import xglm
from incoder_model.checkpoint import (
    CONFIG,
    FORMAT,
    TOKENIZER,
    WEIGHTS,
    ModelDirectoryError,
    read_config,
    read_tokenizer,
    replacing,
    write_files,
)
from incoder_model.config import ModelConfig
from incoder_model.tokenizer import Tokenizer, TokenizerError
from incoder_model.transformer import Transformer
from incoder_train.errors import UserError
from incoder_train.weight_files import Stored, find_weights, open_weights, same, write_safetensors

TOKENIZER_CONFIG = "tokenizer_config.json"
Progress = Callable[[int, int], None]  # bytes of weights written, bytes in all


@dataclass(frozen=True)
class Converted:
    """What will be written: the small files by name, and the weights by the names that they get."""

    files: Mapping[str, bytes]
    weights: Mapping[str, Stored]
    metadata: Mapping[str, str] | None = None


def convert(
    source: Path,
    out: Path,
    *,
    to: str = "incoder",
    dtype: torch.dtype | None = None,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Writes the folder `out`, whole or not at all, in the layout `to`, a key of LAYOUTS. Weights keep their type without a
    `dtype`. Replaces an empty folder, or a model in the same layout. Raises UserError."""
    source, out = source.resolve(), out.resolve()
    if source == out:
        raise UserError(f"{out} is the source itself; name another folder to write")
    converted = LAYOUTS[to](source, dtype)
    if out.exists() and not _may_replace(out, converted):
        raise UserError(f"{out} holds something else than a model in this layout; name another folder to write")
    try:
        with replacing(out) as unfinished:
            write_files(unfinished, converted.files)
            write_safetensors(unfinished / WEIGHTS, converted.weights, dtype, converted.metadata, progress)
    except OSError as error:
        raise UserError(f"{out} could not be written: {error.strerror or error}") from None
    return out


def _may_replace(out: Path, converted: Converted) -> bool:
    """Whether `out` is empty, or holds the same files with a configuration of the same keys and nothing else."""
    if not out.is_dir():
        return False
    names = {path.name for path in out.iterdir()}
    try:
        return not names or (
            names == {*converted.files, WEIGHTS}
            and json.loads((out / CONFIG).read_bytes()).keys() == json.loads(converted.files[CONFIG]).keys()
        )
    except (OSError, ValueError, AttributeError):
        return False


def _to_ours(source: Path, dtype: torch.dtype | None) -> Converted:
    values = _read_xglm_config(source)
    try:
        config = xglm.config_from_xglm(values)
    except ValueError as error:
        raise UserError(f"{source / CONFIG} describes no InCoder: {error}") from None
    try:
        tokenizer = xglm.tokenizer_from_xglm((source / TOKENIZER).read_text(encoding="utf-8"))
        if tokenizer.vocab_size != config.vocab_size:
            raise TokenizerError(f"it has {tokenizer.vocab_size} tokens, vocab_size in {CONFIG} is {config.vocab_size}")
    except FileNotFoundError:
        raise UserError(f"{source} has no {TOKENIZER}; copy the whole folder") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{source / TOKENIZER} is no InCoder tokenizer: {error}") from None
    stored = find_weights(source)
    weights = {ours: stored[theirs] for ours, theirs in xglm.our_names(stored).items()}
    check_weights(weights, config, source)
    if xglm.HEAD in stored and not same(stored[xglm.HEAD], weights[xglm.EMBEDDING]):
        raise UserError(f"{source} has a {xglm.HEAD} of its own; InCoder's is the embedding again")
    return Converted(
        {CONFIG: _as_json({"format": FORMAT, **config.to_dict()}), TOKENIZER: tokenizer.to_json().encode()}, weights
    )


def _to_xglm(source: Path, dtype: torch.dtype | None) -> Converted:
    config, tokenizer = open_directory(source)
    stored = open_weights(source / WEIGHTS).tensors
    check_weights(stored, config, source)
    stored_in = str(dtype or stored[xglm.EMBEDDING].dtype).removeprefix("torch.")
    return Converted(
        {
            CONFIG: _as_json(xglm.xglm_config(config, stored_in)),
            TOKENIZER: xglm.xglm_tokenizer(tokenizer).encode(),
            TOKENIZER_CONFIG: _as_json(xglm.xglm_tokenizer_config(config)),
        },
        {xglm.xglm_name(name): weight for name, weight in stored.items()},
        {"format": "pt"},  # transformers opens no file without it
    )


LAYOUTS: Mapping[str, Callable[[Path, torch.dtype | None], Converted]] = {"incoder": _to_ours, "xglm": _to_xglm}


def _read_xglm_config(source: Path) -> dict[str, Any]:
    if not source.is_dir():
        raise UserError(f"{source} is not a folder; give one with {CONFIG}, {TOKENIZER} and the weights in it")
    try:
        values = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{source} holds no model: {CONFIG} is missing") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{source / CONFIG} cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{source / CONFIG} describes no InCoder: it is no table")
    if values.get("format") == FORMAT:
        raise UserError(f"{source} is a model directory of ours already; say --to xglm to give it to transformers")
    return values


def open_directory(source: Path) -> tuple[ModelConfig, Tokenizer]:
    """What a model directory of ours says of its weights, which stay closed. Raises UserError."""
    try:
        config = read_config(source)
        return config, read_tokenizer(source, config)
    except ModelDirectoryError as error:
        raise UserError(str(error)) from None


def check_weights(weights: Mapping[str, Stored], config: ModelConfig, source: Path) -> None:
    """`weights` by our names: those of `config`, all of them and no other."""
    with torch.device("meta"):
        expected = {name: tuple(weight.shape) for name, weight in Transformer(config).state_dict().items()}
    for name in sorted(expected.keys() | weights.keys()):
        if name not in weights:
            raise UserError(f"{source} lacks the weight {name} that its {CONFIG} asks for; copy the whole folder")
        if name not in expected:
            raise UserError(f"{source} has a weight {weights[name].name}, which the InCoder of its {CONFIG} has not")
        if weights[name].shape != expected[name]:
            raise UserError(
                f"{source} has {weights[name].name} as {weights[name].shape}, its {CONFIG} asks for {expected[name]}; "
                "the two are of different models"
            )


def _as_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
