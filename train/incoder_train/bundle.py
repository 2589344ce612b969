"""The shippable copy of a model: a checkpoint goes in, a model directory with small weights and its papers comes out.

    config.json, model.safetensors, tokenizer.json    the model
    model.onnx         its graph for ONNX Runtime, without weights
    model.vnni.onnx    where it is faster, another one for processors with whole-number products
    provenance.json    what it was made of, and what its weights lost in storage: for programs
    MODEL_CARD.md      the same with its scores: for people
    SHA256SUMS         of the files above; `sha256sum -c SHA256SUMS` checks them

The same checkpoint, corpus and scores give the same bytes.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from incoder_model.checkpoint import (
    BUNDLED,
    CONFIG,
    GRAPH,
    GRAPH_VNNI,
    TOKENIZER,
    WEIGHTS,
    ModelDirectoryError,
    as_network,
    graph_files,
    load_transformer,
    model_files,
    write_directory,
)
from incoder_train.card import write_card
from incoder_train.corpus.build import REPORT
from incoder_train.errors import UserError
from incoder_train.fidelity import compare
from incoder_train.scores import read_scores
from incoder_train.training.metrics import METRICS, read_metrics
from incoder_train.training.start import RECIPE

PROVENANCE, CARD, SUMS = "provenance.json", "MODEL_CARD.md", "SHA256SUMS"
FILES = {CONFIG, WEIGHTS, TOKENIZER, GRAPH, GRAPH_VNNI, PROVENANCE, CARD, SUMS}
LARGEST = 80_000_000  # bytes of all files together: what a package may carry
DTYPES = {"int8": torch.int8, "bf16": torch.bfloat16}
OF_CORPUS = ("name", "documents", "bytes", "splits", "languages", "archives", "options", "stages", "content_sha256")


def write_bundle(
    checkpoint: Path,
    out: Path | None = None,
    corpus: Path | None = None,
    *,
    dtype: str = "int8",
    scores: Sequence[Path] = (),
    hardware: str = "",
) -> Path:
    """Writes the folder whole or not at all; a bundle that is there is replaced, nothing else is.

    scores: results of `incoder eval`, of this bundle, of the checkpoint or of no model. hardware: what the model was trained on,
    in words. Raises UserError.
    """
    checkpoint, out = checkpoint.resolve(), (out or BUNDLED).absolute()
    if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= FILES):
        raise UserError(f"{out} holds other things than a bundled model; name another folder with --out")
    try:
        model, tokenizer = load_transformer(checkpoint)
        files = model_files(model.config, model.state_dict(), tokenizer, dtype=DTYPES[dtype])
    except ModelDirectoryError as error:
        raise UserError(str(error)) from None
    except ValueError as error:
        raise UserError(f"{checkpoint / WEIGHTS} cannot be stored in int8: {error}; bundle an earlier one") from None
    try:
        files |= graph_files(model.config, BytesIO(files[WEIGHTS]))
    except ValueError as error:
        raise UserError(
            f"{checkpoint} cannot be run by ONNX Runtime: {error}; bundle a model of another shape"
        ) from None
    smaller = copy.deepcopy(model)
    smaller.load_state_dict(as_network(load(files[WEIGHTS]), out, torch.float32))
    sha256 = hashlib.sha256(files[WEIGHTS]).hexdigest()
    origin = provenance(checkpoint, corpus, hardware)
    origin["weights"] = {
        "dtype": dtype,
        "bytes": len(files[WEIGHTS]),
        "sha256": sha256,
        "fidelity": dataclasses.asdict(compare(model, smaller, tokenizer)),
    }
    found = read_scores(scores, bundle_sha256=sha256, checkpoint_sha256=_sha256(checkpoint / WEIGHTS))
    files[PROVENANCE] = (json.dumps(origin, indent=2, ensure_ascii=False) + "\n").encode()
    try:
        files[CARD] = write_card(origin, model.config, found).encode()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{checkpoint.parent / RECIPE} or {REPORT} of the corpus is not what this version writes ({error!r}); "
            "bundle with the version that made them"
        ) from None
    files[SUMS] = sums(files)
    size = sum(map(len, files.values()))
    if size > LARGEST:
        raise UserError(
            f"the bundle of {checkpoint} would have {size:,} bytes, and may have {LARGEST:,}; bundle a smaller model"
        )
    try:
        write_directory(out, files)
    except OSError as error:
        raise UserError(f"{out} could not be written: {error.strerror}") from None
    return out


def sums(files: Mapping[str, bytes]) -> bytes:
    """What `sha256sum` prints for these files."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


def provenance(checkpoint: Path, corpus: Path | None, hardware: str = "") -> dict[str, Any]:
    """What the weights were made of: the run's recipe, how long it ran, and the archives with their licences.

    Raises UserError for a `corpus` that is none.
    """
    run = checkpoint.parent
    origin: dict[str, Any] = {"checkpoint": checkpoint.name}
    if (run / RECIPE).exists():
        try:
            origin["recipe"] = json.loads((run / RECIPE).read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f"{run / RECIPE} is damaged ({error}); restore it, or remove it to bundle without"
            ) from None
        origin["last_metrics"] = last_metrics(read_metrics(run / METRICS), checkpoint.name)
    if hardware:
        origin["hardware"] = hardware
    if corpus is not None:
        try:
            report = json.loads((corpus / REPORT).read_text(encoding="utf-8"))
            origin["corpus"] = {key: report[key] for key in OF_CORPUS}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{corpus} holds no corpus ({error}); give the folder that `incoder data build` made"
            ) from None
    return origin


def last_metrics(lines: Sequence[dict[str, float]], checkpoint: str) -> list[dict[str, float]]:
    """The last line of training and the last one of validation that a checkpoint with this name has behind it."""
    step = checkpoint.removeprefix("step-")
    lines = [line for line in lines if not step.isdecimal() or line["step"] <= int(step)]
    kinds = ("loss", "validation_loss")
    return [line for kind in kinds for line in [line for line in lines if kind in line][-1:]]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while content := file.read(1 << 20):
            digest.update(content)
    return digest.hexdigest()
