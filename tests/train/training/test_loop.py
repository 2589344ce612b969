"""The training loop: a run that is killed ends as if it had not been, and what cannot run says why in one sentence."""

import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import load

from incoder_model import config
from incoder_model.loading import load_model
from incoder_model.tokenizer import Tokenizer, assemble
from incoder_train.errors import UserError
from incoder_train.tokens.shards import write_shard
from incoder_train.training import loop
from incoder_train.training.checkpoints import STATE, TENSORS, find_checkpoints
from incoder_train.training.loop import STOPPING, Stopped, train
from incoder_train.training.metrics import Metrics, read_metrics
from incoder_train.training.recipe import Data, Machine, Recipe, Run, read_recipe

Write = Callable[..., Path]


@pytest.fixture
def with_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the random state matters too."""
    monkeypatch.setitem(config.PRESETS, "tiny", dataclasses.replace(config.PRESETS["tiny"], dropout=0.1))


@pytest.fixture
def without_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these runs do."""
    monkeypatch.setattr(loop, "draw_curve", lambda run: None)


# The command in real processes, forked from one that has imported all it needs. Each meets another accident.
ACCIDENTS = """
import dataclasses, os, resource, signal, sys, time
import torch._dynamo  # which optimisers import, slowly; once is enough
from incoder_model import config
from incoder_model.causal_mask import SpanDistribution
from incoder_train.training import loop
from incoder_train.cli import app
from incoder_train.training.metrics import Metrics

config.PRESETS["tiny"] = dataclasses.replace(config.PRESETS["tiny"], dropout=0.1)
loop.draw_curve = lambda run: None
recipe, out = sys.argv[1:]

def killed_in_step_7():
    write = Metrics.write
    def write_and_die(self, **values):
        write(self, **values)
        if values["step"] == 7:
            with self._path.open("a") as file:
                file.write('{"step": 7, "los')
            while not os.path.exists(os.path.join(out, "step-00000004")):  # it is written meanwhile
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
    Metrics.write = write_and_die

def disk_full():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

def killed_in_checkpoint_8():
    def hook(event, arguments):
        if event == "os.rename" and str(arguments[1]).endswith("step-00000008"):
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

for accident, *arguments in ((killed_in_step_7,), (disk_full, "--resume"), (killed_in_checkpoint_8, "--resume")):
    child = os.fork()
    if not child:
        accident()
        app(["train", recipe, "--out", out, *arguments])
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    checkpoints = sorted(name for name in os.listdir(out) if "step" in name)
    print(f"{accident.__name__}: {status} {checkpoints}", file=sys.stderr)
"""


def tensors_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    """All that a checkpoint holds of weights, optimiser and random state, and the exported weights."""
    metadata = FileSystemReader(checkpoint / TENSORS).read_metadata().state_dict_metadata
    tensors = {name: torch.empty(m.size, dtype=m.properties.dtype) for name, m in metadata.items()}
    load(tensors, storage_reader=FileSystemReader(checkpoint / TENSORS), no_dist=True)
    return tensors | load_file(checkpoint / "model.safetensors")


def state_of(checkpoint: Path) -> dict[str, Any]:
    state = json.loads((checkpoint / STATE).read_text())
    del state["files"]
    return state


def assert_same_end(one: Path, other: Path) -> None:
    a, b = tensors_of(one), tensors_of(other)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []
    states = [state_of(one), state_of(other)]
    assert all(state["count"].pop("seconds") > 0 for state in states)
    assert states[0] == states[1]

    def course(checkpoint: Path) -> list[dict[str, float]]:
        lines = read_metrics(checkpoint.parent / "metrics.jsonl")
        clock = (
            "seconds",
            "tokens_per_second",
            "data_wait",
            "memory_gib",
            "padding",
        )  # the last is since the last line
        return [{key: value for key, value in line.items() if key not in clock} for line in lines]

    assert course(one) == course(other)


# --- a run -------------------------------------------------------------------------------------------------------


def test_a_run_learns_and_leaves_what_it_promises(
    write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = read_recipe(
        write_recipe(run__steps=30, run__checkpoint_every=20, run__keep_checkpoints=1, run__batch_size=8)
    )
    checkpoint = train(recipe, tmp_path / "run")
    assert checkpoint.name == "step-00000030"
    assert [path.name for path in find_checkpoints(tmp_path / "run")] == ["step-00000030"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "loss.png",
        "metrics.jsonl",
        "recipe.json",
        "step-00000030",
    ]
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "run" / "recipe.json").read_text()) == json.loads(recipe.to_json())
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    losses = [line["loss"] for line in lines if "loss" in line]
    held_out = [line["validation_loss"] for line in lines if "validation_loss" in line]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 31))
    assert [line["step"] for line in lines if "validation_loss" in line] == [*range(4, 30, 4), 30]
    assert losses[0] == pytest.approx(math.log(920), abs=0.5)  # the loss of a model that knows nothing
    assert np.mean(losses[-5:]) < losses[0] - 1.5
    assert held_out[-1] < held_out[0] - 1
    assert all(later["tokens"] >= earlier["tokens"] for earlier, later in pairwise(lines))
    last_line = capsys.readouterr().out.splitlines()[-1]
    assert last_line.startswith(f"100%  step 30  loss {losses[-1]:.3f}  validation {held_out[-1]:.3f}  ")
    assert load_model(checkpoint).config.context == 64


GOLDEN = Path(__file__).parent / "golden_losses.json"


@pytest.mark.usefixtures("without_picture")
@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_golden_losses(write_recipe: Write, tmp_path: Path, kind: str) -> None:
    """What twelve updates of two layers came to when this was written: whoever changes them does so knowingly, and writes
    down the new ones from the file that a failure leaves."""
    out = tmp_path / "run"
    train(read_recipe(write_recipe(optimiser__kind=kind)), out)
    lines = read_metrics(out / "metrics.jsonl")
    found = {key: [line[key] for line in lines if key in line] for key in ("loss", "gradient_norm", "validation_loss")}
    (tmp_path / GOLDEN.name).write_text(json.dumps(found))
    for key, values in json.loads(GOLDEN.read_text())[kind].items():
        assert found[key] == pytest.approx(values, abs=1e-4), f"{key} of {tmp_path / GOLDEN.name}"


@pytest.mark.proof
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and limits on file size")
@pytest.mark.usefixtures("with_dropout", "without_picture")
def test_after_three_accidents_it_ends_bit_for_bit_the_same(write_recipe: Write, tmp_path: Path) -> None:
    """Killed between two checkpoints, its metrics cut within a line; the disk full at the next checkpoint; killed while
    that is written. What was saved is never lost, and the end is that of a run without accidents."""
    file, out = write_recipe(), tmp_path / "run"
    command = [sys.executable, "-c", ACCIDENTS, str(file), str(out)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.stderr.splitlines() == [
        "killed_in_step_7: -9 ['step-00000004']",
        "incoder: the checkpoint of step 8 could not be written (File too large); make room, then resume from step-00000004",
        "disk_full: 1 ['step-00000004']",
        "killed_in_checkpoint_8: -9 ['.step-00000008.unfinished', 'step-00000004']",
    ]
    recipe = read_recipe(file)
    resumed = train(recipe, out, resume=True)
    assert_same_end(resumed, train(recipe, tmp_path / "uninterrupted"))
    assert [line["step"] for line in read_metrics(out / "metrics.jsonl") if "loss" in line] == list(range(1, 13))
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.usefixtures("with_dropout", "without_picture")
def test_interrupted_anywhere_it_ends_the_same(
    write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    recipe = read_recipe(write_recipe(optimiser__kind=kind, run__checkpoint_every=3, run__log_every=2, run__steps=10))
    write = Metrics.write

    def interrupt_at(step: int) -> None:
        def write_or_stop(self: Metrics, **values: float) -> None:
            if values["step"] == step:
                raise KeyboardInterrupt
            write(self, **values)

        monkeypatch.setattr(Metrics, "write", write_or_stop)

    for step, resume in ((2, False), (4, True), (8, True)):  # the first before there is any checkpoint
        interrupt_at(step)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "interrupted", resume=resume)
    monkeypatch.setattr(Metrics, "write", write)
    resumed = train(recipe, tmp_path / "interrupted", resume=True)
    assert_same_end(resumed, train(recipe, tmp_path / "uninterrupted"))
    before = tensors_of(resumed)
    assert train(recipe, tmp_path / "interrupted", resume=True) == resumed  # nothing is left to do
    assert all(torch.equal(value, before[name]) for name, value in tensors_of(resumed).items())


@pytest.mark.usefixtures("without_picture")
def test_another_seed_is_another_run(write_recipe: Write, tmp_path: Path) -> None:
    short = {"run__steps": 2, "run__validate_every": 2}
    a = train(read_recipe(write_recipe("a", run__seed=1, **short)), tmp_path / "a")
    b = train(read_recipe(write_recipe("b", run__seed=2, **short)), tmp_path / "b")
    assert not torch.equal(tensors_of(a)["layers.0.fc1.weight"], tensors_of(b)["layers.0.fc1.weight"])


@pytest.mark.usefixtures("without_picture")
@pytest.mark.parametrize("precision", ["bf16", "fp16", "auto"])
def test_other_precisions(write_recipe: Write, tmp_path: Path, precision: str) -> None:
    recipe = read_recipe(write_recipe(machine__precision=precision, run__steps=3))
    checkpoint = train(recipe, tmp_path / "run")
    kept = {name: value for name, value in tensors_of(checkpoint).items() if "random" not in name}
    assert {value.dtype for value in kept.values()} == {torch.float32}
    assert all(value.isfinite().all() for value in kept.values())


@pytest.mark.usefixtures("without_picture")
def test_a_run_by_the_clock_ends(write_recipe: Write, tmp_path: Path) -> None:
    recipe = read_recipe(write_recipe(run__steps=None, run__minutes=0.002, run__checkpoint_every=1000))
    checkpoint = train(recipe, tmp_path / "run")
    state = json.loads((checkpoint / STATE).read_text())
    assert state["count"]["seconds"] >= 0.12
    assert state["count"]["samples_seen"] == 4 * state["count"]["step"] == state["data"]["samples_seen"]
    assert find_checkpoints(tmp_path / "run") == [checkpoint]


# --- what cannot run ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_picture")
def test_a_folder_in_use(write_recipe: Write, tmp_path: Path) -> None:
    recipe = read_recipe(write_recipe(run__steps=4))
    train(recipe, tmp_path / "run")
    with pytest.raises(UserError, match="holds a run already; add --resume"):
        train(recipe, tmp_path / "run")
    with pytest.raises(UserError, match="was started with another recipe"):
        train(read_recipe(write_recipe(run__steps=8)), tmp_path / "run", resume=True)
    (tmp_path / "run" / "recipe.json").unlink()
    with pytest.raises(UserError, match="was started with another recipe"):
        train(recipe, tmp_path / "run", resume=True)


def damaged(name: str, content: bytes | None = None) -> Callable[[Path], object]:
    """The file of that name is cut to a third, or gets another content."""

    def damage(folder: Path) -> None:
        file = folder / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3] if content is None else content)

    return damage


def flipped(name: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return damage


DAMAGES = {
    "weights cut": damaged("model.safetensors"),
    "tensors cut": damaged(f"{TENSORS}/__0_0.distcp"),
    "tensors missing": lambda folder: (folder / TENSORS / "__0_0.distcp").unlink(),
    "one bit of the tensors": flipped(f"{TENSORS}/__0_0.distcp"),
    "index of the tensors": damaged(f"{TENSORS}/.metadata", b""),
    "state cut": damaged(STATE),
    "state a list": damaged(STATE, b"[1]"),
    "state of another program": damaged(STATE, b'{"epoch": 3}'),
    "config cut": damaged("config.json"),
}


@pytest.fixture(scope="module")
def finished(data_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """A run of two steps with a checkpoint after each."""
    places = (data_directory / name for name in ("train", "validation", "tokenizer.json"))
    settings = Run(batch_size=2, steps=2, checkpoint_every=1, validation_batches=1)
    machine = Machine(precision="fp32", device="cpu")
    recipe = Recipe("finished", Data(*places, context=64), model="tiny", run=settings, machine=machine)
    out = tmp_path_factory.mktemp("finished") / "run"
    train(recipe, out)
    return recipe, out


@pytest.mark.usefixtures("without_picture")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint(
    finished: tuple[Recipe, Path], tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run goes on from the one before, says so, and ends as if nothing had been."""
    recipe, run = finished
    out = shutil.copytree(run, tmp_path / "run")
    DAMAGES[damage](out / "step-00000002")
    assert_same_end(train(recipe, out, resume=True), run / "step-00000002")
    said = capsys.readouterr().out.splitlines()[0]
    assert re.fullmatch(r"step-00000002 is damaged \(.+\); going on from the one before", said)


def test_nothing_but_damaged_checkpoints(finished: tuple[Recipe, Path], tmp_path: Path) -> None:
    recipe, run = finished
    out = shutil.copytree(run, tmp_path / "run")
    for folder in find_checkpoints(out):
        DAMAGES["tensors cut"](folder)
    with pytest.raises(UserError, match=r"every checkpoint in .* is damaged; restore one, or start anew"):
        train(recipe, out, resume=True)


def test_a_run_goes_on_with_another_machine_but_not_with_other_data(
    finished: tuple[Recipe, Path], tmp_path: Path, data_directory: Path
) -> None:
    recipe, run = finished
    out = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(out / "step-00000002")
    elsewhere = dataclasses.replace(
        recipe, machine=Machine(precision="fp32", device="cpu", micro_batch=1, loss_chunk=16)
    )
    assert train(elsewhere, out, resume=True).name == "step-00000002"
    state = json.loads((out / "step-00000002" / STATE).read_text())
    state["data"]["fingerprint"] = "0" * 16 + state["data"]["fingerprint"][16:]
    (out / "step-00000002" / STATE).write_text(json.dumps(state))
    with pytest.raises(UserError, match="the data changed since the run was started"):
        train(recipe, out, resume=True)


def test_data_that_does_not_fit(write_recipe: Write, tmp_path: Path, tokenizer: Tokenizer) -> None:
    other = assemble(["ab"], [("a", "b")])
    write_shard(tmp_path / "other", [("ab" * 500, {"filename": "a.py"})], other)
    write_shard(tmp_path / "little", [("ab", {"filename": "a.py"})], tokenizer)
    (tmp_path / "other.json").write_text(other.to_json())
    for changes, said in (
        ({"data__train": tmp_path / "other"}, "other was made with another tokenizer than .*; make the shard again"),
        ({"data__validation": tmp_path / "missing"}, "missing holds no token shard"),
        ({"data__tokenizer": tmp_path / "missing.json"}, r"recipe tiny-run: .*missing\.json is missing"),
        ({"data__tokenizer": tmp_path / "other.json"}, "was made with another tokenizer"),
        ({"data__train": tmp_path / "little"}, "little has 1 blocks, fewer than one batch of 4; add data"),
    ):
        with pytest.raises(UserError, match=said):
            train(read_recipe(write_recipe(**changes)), tmp_path / "run")
        assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("without_picture")
def test_a_loss_that_is_no_number(write_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Updates are skipped, then the run gives up; no weights that are worth nothing take a checkpoint's place."""
    recipe = read_recipe(write_recipe(optimiser__lr=1e30, optimiser__warmup_steps=0, run__steps=100))
    with pytest.raises(
        UserError, match=r"50 updates in a row were skipped, the last because .*; lower the learning rate"
    ):
        train(recipe, tmp_path / "run")
    assert find_checkpoints(tmp_path / "run") == []
    assert re.search(r"step \d+ was skipped: the loss is (nan|inf)", capsys.readouterr().out)


@pytest.mark.usefixtures("without_picture")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_stops(
    write_recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    recipe, out = read_recipe(write_recipe(run__steps=8)), tmp_path / "run"
    write = Metrics.write

    def signal_at_three(self: Metrics, **values: float) -> None:
        write(self, **values)
        if values["step"] == 3:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Metrics, "write", signal_at_three)
    handlers = [signal.getsignal(one) for one in STOPPING]
    with pytest.raises(Stopped, match="step-00000004"):
        train(recipe, out)
    assert [signal.getsignal(one) for one in STOPPING] == handlers
    monkeypatch.setattr(Metrics, "write", write)
    assert_same_end(train(recipe, out, resume=True), train(recipe, tmp_path / "undisturbed"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(write_recipe: Write, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="torch finds no GPU here; say 'cpu' or 'auto'"):
        train(read_recipe(write_recipe(machine__device="cuda")), tmp_path / "run")
