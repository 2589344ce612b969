"""Weights on disk, one tensor at a time: safetensors and torch's pickles are read, safetensors are written, and memory holds
little more than the tensor at hand, whatever the size of the model.

Files are mapped, not read whole. Pages that were looked at count as this process's memory, so a file is opened anew after every
16 MiB. A pickle goes through torch's weights-only reader, which makes tensors and runs nothing else.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import safe_open
from torch import Tensor

from incoder_train.errors import UserError

SAFETENSORS, PICKLE = (
    "model.safetensors",
    "pytorch_model.bin",
)  # what Hugging Face's folders call them; the first is preferred
TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}  # by the names of safetensors
NAMES = {dtype: name for name, dtype in TYPES.items()}
POINTER = b"version https://git-lfs."  # how a file begins that git has not fetched
HELD = 1 << 24  # bytes of a file that may be looked at before it is opened anew
PIECE = 1 << 22  # values that are turned into another type at a time


@dataclass(frozen=True)
class Stored:
    """Where a tensor is, and what it is."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Opened:
    """A file of weights: what it holds, by name, and the tensor of a name. `mapped` is False when all of it is in memory."""

    tensors: Mapping[str, Stored]
    read: Callable[[str], Tensor]
    mapped: bool = True


# --- reading -----------------------------------------------------------------------------------------------------


def find_weights(folder: Path) -> dict[str, Stored]:
    """The tensors of a folder in Hugging Face's layout, whole or in shards. Raises UserError."""
    for name in (SAFETENSORS, PICKLE):
        if (folder / name).exists():
            return dict(open_weights(folder / name).tensors)
        if (index := folder / f"{name}.index.json").exists():
            return _find_in_shards(index)
    raise UserError(
        f"{folder} has no weights: neither {SAFETENSORS} nor {PICKLE}, nor shards with one of their indexes"
    )


def _find_in_shards(index: Path) -> dict[str, Stored]:
    try:
        places: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = sorted(set(places.values()))
        if any(Path(file).name != file for file in files):
            raise ValueError("it names files outside of the folder")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{index} cannot be read ({error}); copy the file again") from None
    shards = {file: open_weights(index.parent / file).tensors for file in files}
    for name, file in places.items():
        if name not in shards[file]:
            raise UserError(f"{index.parent / file} lacks {name}, which {index.name} says it has; copy both again")
    return {name: shards[file][name] for name, file in places.items()}


def each(tensors: Mapping[str, Stored]) -> Iterator[tuple[str, Tensor]]:
    """The tensors in turn. Let go of one before you ask for the next."""
    opened, file, seen = None, None, 0
    for name, stored in tensors.items():
        if opened is None or stored.file != file or (opened.mapped and seen > HELD):
            opened = None
            opened, file, seen = open_weights(stored.file), stored.file, 0
        tensor = opened.read(stored.name)
        seen += tensor.nbytes
        yield name, tensor
        del tensor


def same(a: Stored, b: Stored) -> bool:
    """Whether two tensors are equal, bit by bit."""
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return False
    opened = open_weights(a.file)
    x, y = opened.read(a.name), (opened if a.file == b.file else open_weights(b.file)).read(b.name)
    pieces = zip(x.reshape(-1).split(PIECE), y.reshape(-1).split(PIECE), strict=True)
    return x.data_ptr() == y.data_ptr() or all(torch.equal(p.view(torch.uint8), q.view(torch.uint8)) for p, q in pieces)


def open_weights(file: Path) -> Opened:
    """Raises UserError for a file that cannot be read as tensors in fp32, fp16 or bf16 alone."""
    opener = OPENERS.get(file.suffix)
    if opener is None:
        raise UserError(f"{file} is of an unknown kind; weights end in {' or '.join(OPENERS)}")
    try:
        with file.open("rb") as beginning:
            if beginning.read(len(POINTER)) == POINTER:
                raise UserError(
                    f"{file} is a pointer to the weights, not the weights; run `git lfs pull` in its folder"
                )
        return opener(file)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}); copy the file again") from None
    except Exception as error:  # damaged bytes can make both readers raise almost anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{file} is damaged, or holds more than tensors; nothing of it was run ({reason})") from None


def _open_safetensors(file: Path) -> Opened:
    inner = safe_open(file, "pt")
    slices = {name: inner.get_slice(name) for name in inner.keys()}  # noqa: SIM118 (it is no dict)
    tensors = {
        name: _stored(file, name, part.get_shape(), TYPES.get(part.get_dtype())) for name, part in slices.items()
    }
    return Opened(tensors, inner.get_tensor)


def _open_pickle(file: Path) -> Opened:
    mapped = zipfile.is_zipfile(file)  # files of torch before 1.6 are not, and must be read whole
    content = torch.load(file, map_location="cpu", mmap=mapped, weights_only=True)
    if not isinstance(content, dict) or not all(_is_plain(tensor) for tensor in content.values()):
        raise ValueError("it is no table of tensors by name")
    values: dict[str, Tensor] = {str(name): tensor.detach() for name, tensor in content.items()}
    tensors = {name: _stored(file, name, tensor.shape, tensor.dtype) for name, tensor in values.items()}
    return Opened(tensors, values.__getitem__, mapped)


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu"


def _stored(file: Path, name: str, shape: Iterable[int], dtype: torch.dtype | None) -> Stored:
    if dtype not in NAMES:
        raise UserError(
            f"{file} does not hold {name} in fp32, fp16 or bf16; take the weights before they were quantised"
        )
    return Stored(file, name, tuple(shape), dtype)


OPENERS = {".safetensors": _open_safetensors, ".bin": _open_pickle}

# --- writing -----------------------------------------------------------------------------------------------------


def write_safetensors(
    file: Path,
    tensors: Mapping[str, Stored],
    dtype: torch.dtype | None = None,
    metadata: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Copy `tensors` into one file, under their keys, in `dtype` (by default each in its own). `progress` gets bytes written and
    bytes in all.

    The format: the header's length in 8 bytes, the header as JSON, then the values, larger types first so that all are
    aligned. Raises OSError, and UserError for a value that does not fit into `dtype`.
    """
    types = {name: dtype or stored.dtype for name, stored in tensors.items()}
    order = sorted(tensors, key=lambda name: (-types[name].itemsize, name))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    total = 0
    for name in order:
        begin, total = total, total + math.prod(tensors[name].shape) * types[name].itemsize
        header[name] = {
            "dtype": NAMES[types[name]],
            "shape": list(tensors[name].shape),
            "data_offsets": [begin, total],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    done = 0
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, tensor in each({name: tensors[name] for name in order}):
            _write_values(out, name, tensor, types[name])
            done += tensor.numel() * types[name].itemsize
            progress(done, total)
            del tensor
        out.flush()
        os.fsync(out.fileno())


def _write_values(out: BinaryIO, name: str, tensor: Tensor, dtype: torch.dtype) -> None:
    for piece in tensor.reshape(-1).split(PIECE):
        values = piece.to(dtype)
        if dtype is torch.float16 and not torch.equal(values.isfinite(), piece.isfinite()):
            raise UserError(f"{name} has values beyond the range of fp16; say --dtype bf16")
        out.write(values.view(torch.uint8).numpy().data)
