"""What a run can go on from. Weights and the optimiser's state go through torch.distributed.checkpoint, which cuts them
anew when another number of devices reads them.

    run/step-00000250/
        state/              weights and optimiser in float32, random state of each process, written by all of them
        config.json, model.safetensors, tokenizer.json      the same weights as a model directory (`export`)
        state.json          step, samples seen, guard, loss scale; size and CRC-32 of every other file

A checkpoint appears under its name when all of it is on the disk. It is written by a thread, from a copy of the tensors,
while training goes on; one at a time. Reading takes the newest folder whose files are all as state.json says.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save, save

from incoder_train.errors import UserError
from incoder_train.training.parallel import Replica, World

STATE, TENSORS = "state.json", "state"
CHUNK = 1 << 24  # bytes read at a time

# dcp says so of every run in a single process, where that is meant.
warnings.filterwarnings("ignore", message="torch.distributed is disabled, unavailable or uninitialized")

Files = Mapping[str, bytes]


class Saver:
    """Writes the checkpoints of a run into the folder `out`, and keeps the last `keep` of them."""

    def __init__(self, out: Path, world: World, keep: int):
        self._out, self._world, self._keep = out, world, keep
        self._writer, self._finisher = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._pending: tuple[int, Future[Any]] | None = None

    def save(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any], files: Files) -> Path:
        """Copy `tensors`, then write in the background; every process calls this. `files` are those of the first process.

        Raises UserError when the checkpoint before this one could not be written."""
        self.wait()
        folder = folder_of(self._out, step)
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        if self._world.first:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
        self._world.gather(0.0)  # nobody writes before the folder is there
        writer = FileSystemWriter(unfinished / TENSORS, single_file_per_rank=True, sync_files=True)
        copies = snapshot(tensors, self._world)
        written: Any
        if self._world.size == 1:
            written = self._writer.submit(save, copies, storage_writer=writer)
        else:
            written = async_save(copies, storage_writer=writer, process_group=self._world.saving)
        if self._world.first:
            written = self._finisher.submit(self._finish, written, unfinished, folder, state, files)
        self._pending = step, written
        return folder

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        with nullcontext() if kind is None else suppress(UserError):
            self.wait()
        self._writer.shutdown()
        self._finisher.shutdown()

    def poll(self) -> None:
        """Raises UserError as soon as it is known that the checkpoint could not be written."""
        if self._pending is not None and self._pending[1].done():
            self.wait()

    def wait(self) -> None:
        """Until the checkpoint that is being written is on the disk."""
        if self._pending is None:
            return
        (step, written), self._pending = self._pending, None
        try:
            written.result()
        except (OSError, CheckpointException, RuntimeError) as error:
            unfinished = folder_of(self._out, step)
            shutil.rmtree(unfinished.with_name(f".{unfinished.name}.unfinished"), ignore_errors=True)
            last = find_checkpoints(self._out)
            raise UserError(
                f"the checkpoint of step {step} could not be written ({_cause(error)}); "
                f"make room, then resume from {last[-1].name if last else 'the start'}"
            ) from None

    def _finish(
        self, written: Future[Any], unfinished: Path, folder: Path, state: dict[str, Any], files: Files
    ) -> None:
        try:
            for name, content in files.items():
                _write(unfinished / name, content)
        except OSError:  # the folder will be removed: not while the other thread writes to it
            with suppress(Exception, CheckpointException):
                written.result()
            raise
        written.result()
        whole = {path.relative_to(unfinished).as_posix(): fingerprint(path) for path in files_in(unfinished)}
        _write(unfinished / STATE, json.dumps(state | {"files": whole}).encode())
        if folder.exists():  # damaged, or the run went back beyond it
            shutil.rmtree(folder)
        unfinished.rename(folder)
        for old in find_checkpoints(self._out)[: -self._keep]:
            shutil.rmtree(old)


def folder_of(out: Path, step: int) -> Path:
    return out / f"step-{step:08d}"


def find_checkpoints(out: Path) -> list[Path]:
    """The finished checkpoints of a run, oldest first, damaged ones included."""
    return sorted(path.parent for path in out.glob(f"step-*/{STATE}"))


def newest_whole(out: Path, say: Callable[[str], None]) -> Path | None:
    """The checkpoint to go on from; None if the run has none. `say` gets a sentence for each damaged one that is passed over.

    Raises UserError when all of them are damaged."""
    found = find_checkpoints(out)
    for folder in reversed(found):
        wrong = damage(folder)
        if wrong is None:
            return folder
        say(f"{folder.name} is damaged ({wrong}); going on from the one before")
    if found:
        raise UserError(f"every checkpoint in {out} is damaged; restore one, or start anew in another folder")
    return None


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint: the first file that is not as it was written. None if all is well."""
    try:
        files = read_state(folder)["files"]
        return next(
            (f"{name} has changed" for name, was in files.items() if fingerprint(folder / name) != list(was)), None
        )
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read: {error.strerror}"
    except (ValueError, TypeError, LookupError, AttributeError):
        return f"{STATE} cannot be read"


def read_state(folder: Path) -> dict[str, Any]:
    return json.loads((folder / STATE).read_text(encoding="utf-8"))


def fingerprint(path: Path) -> list[int]:
    """[bytes, CRC-32] of a file."""
    size = crc = 0
    with path.open("rb") as file:
        while content := file.read(CHUNK):
            size, crc = size + len(content), zlib.crc32(content, crc)
    return [size, crc]


# --- tensors ----------------------------------------------------------------------------------------------------


def tensors_of(replica: Replica, optimisers: list[torch.optim.Optimizer], world: World) -> dict[str, Tensor]:
    """All tensors of a run by name, as they are: to be saved, or to be loaded into."""
    tensors: dict[str, Tensor] = {f"weights.{name}": p.detach() for name, p in replica.parameters.items()}
    for name, parameter in replica.parameters.items():
        for optimiser in optimisers:
            held = optimiser.state.get(parameter, {})
            tensors |= {f"optimiser.{name}.{key}": value for key, value in held.items()}
    tensors[f"random.{world.rank}"] = torch.get_rng_state()
    if world.device.type == "cuda":
        tensors[f"random.{world.rank}.cuda"] = torch.cuda.get_rng_state(world.device)
    return tensors


def snapshot(tensors: dict[str, Tensor], world: World) -> dict[str, Any]:
    """Copies that training cannot change any more. Those of shards on a GPU are made by dcp, before async_save returns."""
    if world.size > 1 and world.device.type != "cpu":
        return dict(tensors)
    return {name: tensor.clone() if world.size > 1 else tensor.to("cpu", copy=True) for name, tensor in tensors.items()}


def load_tensors(folder: Path, replica: Replica, optimisers: list[torch.optim.Optimizer], world: World) -> None:
    """Read a checkpoint into weights, optimisers and random state. Random state is left as it is for a process that
    the run did not have when it was saved.

    Raises UserError when the checkpoint is of another model or optimiser."""
    allocate(optimisers)
    reader = FileSystemReader(folder / TENSORS)
    saved = reader.read_metadata().state_dict_metadata.keys()
    wanted = tensors_of(replica, optimisers, world)
    wanted = {name: tensor for name, tensor in wanted.items() if name in saved or not name.startswith("random.")}
    try:
        load(dict(wanted), storage_reader=reader)
    except (CheckpointException, RuntimeError, ValueError) as error:
        raise UserError(
            f"{folder} does not fit the recipe ({_cause(error)}); resume with the recipe it was made with"
        ) from None
    if (state := wanted.get(f"random.{world.rank}")) is not None:
        torch.set_rng_state(state)
    if (state := wanted.get(f"random.{world.rank}.cuda")) is not None:
        torch.cuda.set_rng_state(state, world.device)
    replica.publish()


def allocate(optimisers: list[torch.optim.Optimizer]) -> None:
    """Have the optimisers make their state, which they do at the first step: one that changes nothing."""
    for optimiser in optimisers:
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        rates = [group["lr"] for group in optimiser.param_groups]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        for group in optimiser.param_groups:
            group["lr"] = 0.0
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _cause(error: BaseException) -> str:
    """The few words that matter of what dcp wraps."""
    if isinstance(error, CheckpointException):
        error = next(iter(error.failures.values()))[0]
    if "inline_container" in str(error):  # torch's file writer, when the system wrote less than it was given
        return "a file was cut short"
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
