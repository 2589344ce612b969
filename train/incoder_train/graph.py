"""The graph for ONNX Runtime joins a model directory: its weights and configuration go in, `model.onnx` comes out beside them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from incoder_model.checkpoint import (
    CONFIG,
    GRAPH,
    TOKENIZER,
    WEIGHTS,
    ModelDirectoryError,
    graph_file,
    read_config,
    replacing,
    write_files,
)
from incoder_train.errors import UserError

SUMS = "SHA256SUMS"  # of a bundle, see `bundle`
MODEL = (CONFIG, WEIGHTS, TOKENIZER)


def add_graph(source: Path, out: Path) -> Path:
    """Writes `out`: the model in `source`, and its graph. The two may be the same folder, which then only gains, or renews, the
    graph, and its line in SHA256SUMS if it has one. Raises UserError."""
    source, out = source.resolve(), out.resolve()
    try:
        with (source / WEIGHTS).open("rb") as file:
            graph = graph_file(read_config(source), file)
        if source == out:
            _add(out, graph)
        elif out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= {*MODEL, GRAPH}):
            raise UserError(f"{out} holds other things than a model; name another folder to write")
        else:
            with replacing(out) as unfinished:
                for name in MODEL:
                    shutil.copyfile(source / name, unfinished / name)
                write_files(unfinished, {GRAPH: graph})
    except ModelDirectoryError as error:
        raise UserError(str(error)) from None
    except ValueError as error:
        raise UserError(f"{source / WEIGHTS} is not what {CONFIG} describes: {error}") from None
    return out


def _add(directory: Path, graph: bytes) -> None:
    """Each file is there whole or as it was."""
    files = {GRAPH: graph}
    if (directory / SUMS).exists():
        lines = (directory / SUMS).read_text(encoding="utf-8").splitlines()
        lines = [line for line in lines if not line.endswith(f"  {GRAPH}")]
        lines.append(f"{hashlib.sha256(graph).hexdigest()}  {GRAPH}")
        files[SUMS] = "".join(f"{line}\n" for line in sorted(lines, key=lambda line: line.split("  ", 1)[-1])).encode()
    for name, content in files.items():
        unfinished = directory / f".{name}.unfinished"
        try:
            write_files(directory, {unfinished.name: content})
            unfinished.replace(directory / name)
        finally:
            unfinished.unlink(missing_ok=True)
