"""The graphs for ONNX Runtime join a model directory: its weights and configuration go in, `model.onnx` comes out beside them,
and `model.vnni.onnx` where processors with whole-number products gain by it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from incoder_model.checkpoint import (
    CONFIG,
    GRAPH,
    GRAPH_VNNI,
    TOKENIZER,
    WEIGHTS,
    ModelDirectoryError,
    graph_files,
    read_config,
    replacing,
    write_files,
)
from incoder_train.errors import UserError

SUMS = "SHA256SUMS"  # of a bundle, see `bundle`
MODEL = (CONFIG, WEIGHTS, TOKENIZER)
GRAPHS = (GRAPH, GRAPH_VNNI)


def add_graph(source: Path, out: Path) -> Path:
    """Writes `out`: the model in `source`, and its graphs. The two may be the same folder, which then only gains, or renews, the
    graphs, and their lines in SHA256SUMS if it has one. Raises UserError."""
    source, out = source.resolve(), out.resolve()
    try:
        with (source / WEIGHTS).open("rb") as file:
            graphs = graph_files(read_config(source), file)
        if source == out:
            _add(out, graphs)
        elif out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= {*MODEL, *GRAPHS}):
            raise UserError(f"{out} holds other things than a model; name another folder to write")
        else:
            with replacing(out) as unfinished:
                for name in MODEL:
                    shutil.copyfile(source / name, unfinished / name)
                write_files(unfinished, graphs)
    except ModelDirectoryError as error:
        raise UserError(str(error)) from None
    except ValueError as error:
        raise UserError(f"{source / WEIGHTS} is not what {CONFIG} describes: {error}") from None
    return out


def _add(directory: Path, graphs: Mapping[str, bytes]) -> None:
    """Each file is there whole or as it was. A graph that the model has no longer is not."""
    files = dict(graphs)
    if (directory / SUMS).exists():
        lines = (directory / SUMS).read_text(encoding="utf-8").splitlines()
        lines = [line for line in lines if not line.endswith(tuple(f"  {name}" for name in GRAPHS))]
        lines += [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in graphs.items()]
        files[SUMS] = "".join(f"{line}\n" for line in sorted(lines, key=lambda line: line.split("  ", 1)[-1])).encode()
    for name, content in files.items():
        unfinished = directory / f".{name}.unfinished"
        try:
            write_files(directory, {unfinished.name: content})
            unfinished.replace(directory / name)
        finally:
            unfinished.unlink(missing_ok=True)
    for name in set(GRAPHS) - set(graphs):
        (directory / name).unlink(missing_ok=True)
