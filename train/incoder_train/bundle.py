"""The shippable copy of a model: a checkpoint in, a model directory with bf16 weights and its provenance out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from incoder_model.checkpoint import (
    BUNDLED,
    CONFIG,
    TOKENIZER,
    WEIGHTS,
    ModelDirectoryError,
    load_transformer,
    save_model,
)
from incoder_train.corpus.build import REPORT
from incoder_train.errors import UserError
from incoder_train.training.metrics import read_metrics

PROVENANCE = "provenance.json"
FILES = {CONFIG, WEIGHTS, TOKENIZER, PROVENANCE}
LARGEST = 80_000_000  # bytes of weights that a package may carry


def write_bundle(checkpoint: Path, out: Path | None, corpus: Path | None) -> Path:
    """Writes the folder whole or not at all; a bundle that is there is replaced, nothing else is. Raises UserError."""
    checkpoint, out = checkpoint.resolve(), (out or BUNDLED).absolute()
    if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= FILES):
        raise UserError(f"{out} holds other things than a bundled model; name another folder with --out")
    try:
        model, tokenizer = load_transformer(checkpoint)
    except ModelDirectoryError as error:
        raise UserError(str(error)) from None
    size = 2 * model.config.parameters
    if size > LARGEST:
        raise UserError(
            f"the weights of {checkpoint} take {size:,} bytes, a bundle at most {LARGEST:,}; bundle a smaller model"
        )
    origin = json.dumps(provenance(checkpoint, corpus), indent=2, ensure_ascii=False) + "\n"
    try:
        save_model(out, model, tokenizer, dtype=torch.bfloat16, extra={PROVENANCE: origin.encode()})
    except OSError as error:
        raise UserError(f"{out / WEIGHTS} could not be written: {error.strerror}") from None
    return out


def provenance(checkpoint: Path, corpus: Path | None) -> dict[str, Any]:
    """What the weights were made of: the run's recipe, how long it ran, and the archives with their licences.

    Raises UserError for a `corpus` that is none.
    """
    run = checkpoint.parent
    origin: dict[str, Any] = {"checkpoint": checkpoint.name}
    if (run / "recipe.json").exists():
        origin["recipe"] = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
        origin["last_metrics"] = [line for line in read_metrics(run / "metrics.jsonl") if "validation_loss" in line][
            -1:
        ]
    if corpus is not None:
        try:
            report = json.loads((corpus / REPORT).read_text(encoding="utf-8"))
            origin["corpus"] = {
                key: report[key] for key in ("name", "documents", "bytes", "archives", "content_sha256")
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{corpus} holds no corpus ({error}); give the folder that `incoder data build` made"
            ) from None
    return origin
