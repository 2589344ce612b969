"""Training in several processes is the same training: proofs on a CPU, with gloo, in real processes.

Each process notes, for each of its steps, which rows it had and what came of the update. What FSDP2 changes is the order
in which numbers are added, so losses agree to 1e-4 with another number of processes, and to the bit with the same.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from incoder_train.training.checkpoints import STATE, TENSORS, find_checkpoints
from incoder_train.training.metrics import read_metrics

pytestmark = [pytest.mark.proof, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]

TOLERANCE = 1e-4
REQUEUE = 85

# Runs `incoder train` in as many processes as each launch says, one launch after the other: forked, so that torch is
# imported once. A launch may be told to stop itself at a step, as Slurm would tell it, or to begin with a large loss scale.
LAUNCHES = """
import dataclasses, hashlib, json, os, signal, sys
import torch._dynamo  # which optimisers import, slowly; once is enough
from incoder_model.tokenizer import PAD
from incoder_train.cli import app
from incoder_train.training import loop, start
from incoder_train.training.guard import LossScale
from incoder_train.training.metrics import Metrics

loop.draw_curve = lambda run: None

def process(launch):
    notes = open(launch["notes"] + os.environ["RANK"], "a")
    update, write = loop.update, Metrics.write
    def noted(trainee, batch, *arguments, **options):
        made = update(trainee, batch, *arguments, **options)
        rows = [hashlib.sha256(row[row != PAD].tobytes()).hexdigest()[:16] for row in batch.targets]
        scale = trainee.scale and trainee.scale.value
        print(json.dumps({"rows": rows, "scale": scale} | dataclasses.asdict(made)), file=notes, flush=True)
        return made
    def stop_at(self, **values):
        write(self, **values)
        if values["step"] == launch.get("stop_at"):
            os.kill(os.getpid(), signal.SIGTERM)
    loop.update, Metrics.write = noted, stop_at
    if "scale" in launch:
        start.LossScale = lambda value=launch["scale"], good=0: LossScale(value, good)
    app(["train", launch["recipe"], "--out", launch["out"], *launch.get("options", [])])

for launch in json.loads(sys.argv[1]):
    children = []
    for rank in range(launch["processes"]):
        child = os.fork()
        if not child:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(launch["processes"])}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(launch["port"])}
            process(launch)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print("exit codes", json.dumps(codes), flush=True)
"""


@dataclass
class Course:
    """What a run did: the notes of each process, step by step, and its metrics."""

    notes: list[list[dict[str, Any]]]
    metrics: list[dict[str, float]]

    @property
    def losses(self) -> list[float]:
        return [line["loss"] for line in self.metrics if "loss" in line]

    @property
    def held_out(self) -> list[float]:
        return [line["validation_loss"] for line in self.metrics if "validation_loss" in line]

    def rows(self) -> list[list[str]]:
        """The rows of each step, over all processes, sorted."""
        return [sorted(row for note in step for row in note["rows"]) for step in zip(*self.notes, strict=True)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(recipe: Path, out: Path, *launches: dict[str, Any]) -> tuple[list[list[int]], list[Course]]:
    """Exit codes and course of each launch of `recipe` in the folder `out`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    plans = [
        {"recipe": str(recipe), "out": str(out), "notes": f"{mkdtemp(dir=out.parent)}/", "port": free_port()} | one
        for one in launches
    ]
    command = [sys.executable, "-c", LAUNCHES, json.dumps(plans)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    codes = [
        json.loads(line.removeprefix("exit codes ")) for line in result.stdout.splitlines() if "exit codes" in line
    ]
    assert len(codes) == len(launches), result.stderr
    courses = []
    for plan in plans:
        files = [Path(f"{plan['notes']}{rank}") for rank in range(plan["processes"])]
        notes = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
        courses.append(Course(notes, read_metrics(out / "metrics.jsonl")))
    return codes, courses


def run(recipe: Path, out: Path, processes: int, **how: Any) -> Course:
    codes, (course,) = launch(recipe, out, {"processes": processes, **how})
    assert codes == [[0] * processes]
    return course


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_two_and_four_processes_learn_what_one_learns(write_recipe: Any, tmp_path: Path, kind: str) -> None:
    recipe = write_recipe(optimiser__kind=kind, run__batch_size=8)
    hybrid = write_recipe(
        "hybrid", optimiser__kind=kind, run__batch_size=8, machine__shard_group=2, machine__micro_batch=1
    )
    one = run(recipe, tmp_path / "one", 1)
    assert len(one.losses) == 12
    assert one.losses[-1] < one.losses[0] - 0.3
    for processes, file in ((2, recipe), (4, hybrid)):
        many = run(file, tmp_path / f"{processes}", processes)
        assert many.losses == pytest.approx(one.losses, abs=TOLERANCE)
        assert many.held_out == pytest.approx(one.held_out, abs=TOLERANCE)
        assert many.rows() == one.rows()
        assert all(len({note["loss"] for note in step}) == 1 for step in zip(*many.notes, strict=True))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_two_processes_go_on_bit_for_bit(write_recipe: Any, tmp_path: Path, precision: str) -> None:
    """Loss, loss scale and order after a stop are those of a run without one; a damaged newest checkpoint costs only time."""
    recipe = write_recipe(machine__precision=precision, machine__recompute="full")
    whole = run(recipe, tmp_path / "whole", 2)
    two = {"processes": 2}
    codes, courses = launch(recipe, tmp_path / "stopped", two | {"stop_at": 6}, two | {"options": ["--resume"]})
    assert codes == [[REQUEUE] * 2, [0, 0]]
    for rank in range(2):
        assert courses[0].notes[rank] + courses[1].notes[rank] == whole.notes[rank]
    assert courses[1].losses == whole.losses
    assert courses[1].held_out == whole.held_out
    damaged = find_checkpoints(tmp_path / "stopped")[-1] / TENSORS / "__1_0.distcp"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    again = run(recipe, tmp_path / "stopped", 2, options=["--resume"])
    assert again.losses == whole.losses
    assert again.notes[0] == whole.notes[0][8:]  # from the checkpoint before, which is that of step 8


def test_the_number_of_processes_may_change(write_recipe: Any, tmp_path: Path) -> None:
    recipe = write_recipe()
    whole = run(recipe, tmp_path / "whole", 1)
    codes, courses = launch(
        recipe,
        tmp_path / "changing",
        {"processes": 2, "stop_at": 3},
        {"processes": 1, "stop_at": 7, "options": ["--resume"]},
        {"processes": 4, "options": ["--resume"]},
    )
    assert codes == [[REQUEUE] * 2, [REQUEUE], [0] * 4]
    assert [step for course in courses for step in course.rows()] == whole.rows()
    assert courses[-1].losses == pytest.approx(whole.losses, abs=TOLERANCE)


def test_an_overflow_is_skipped_by_all_alike(write_recipe: Any, tmp_path: Path) -> None:
    recipe = write_recipe(machine__precision="fp16", run__steps=16)
    one, two = (run(recipe, tmp_path / str(n), n, scale=2.0**26) for n in (1, 2))
    skipped = [note["skipped"] is not None for note in two.notes[0]]
    assert 0 < sum(skipped) < 12
    scales = [note["scale"] for note in two.notes[0]]
    assert scales == [2.0 ** (26 - sum(skipped[: step + 1])) for step in range(16)]
    for rank in two.notes:
        assert [note["skipped"] is not None for note in rank] == skipped
        assert [note["scale"] for note in rank] == scales
    assert [note["skipped"] is not None for note in one.notes[0]] == skipped
    assert [line["loss_scale"] for line in two.metrics if "loss_scale" in line] == scales
    assert two.metrics[-2]["skipped"] == sum(skipped)
    assert two.losses == pytest.approx(one.losses, abs=5e-3)  # fp16 rounds to three digits


def test_one_process_is_killed_and_torchrun_starts_again(write_recipe: Any, tmp_path: Path) -> None:
    """kill -9 of one of two processes at step 6, once: the run ends as if it had not been."""
    recipe, out = write_recipe(), tmp_path / "run"
    script = tmp_path / "worker.py"
    script.write_text(
        f"""
import os, signal, time
from pathlib import Path
from incoder_train.cli import app
from incoder_train.training import loop

loop.draw_curve = lambda run: None
update, done = loop.update, 0
def fatal(*arguments, **options):
    global done
    done += 1
    once = Path({str(tmp_path / "killed")!r})
    if os.environ["RANK"] == "1" and done == 6 and not once.exists():
        while not Path({str(out / "step-00000004")!r}).exists():
            time.sleep(0.01)
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return update(*arguments, **options)
loop.update = fatal
app(["train", {str(recipe)!r}, "--out", {str(out)!r}, "--resume"])
"""
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    result = subprocess.run([*command, str(script)], capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "killed").exists()
    whole = run(recipe, tmp_path / "whole", 2)
    assert [line["loss"] for line in read_metrics(out / "metrics.jsonl") if "loss" in line] == whole.losses
    assert read_state(out)["processes"] == 2


def test_what_the_processes_refuse(write_recipe: Any, tmp_path: Path) -> None:
    """One sentence, from the first process or from all, and no run begun."""
    for changes, processes in (({"run__batch_size": 3}, 2), ({"machine__shard_group": 3}, 2)):
        codes, _ = launch(write_recipe(**changes), tmp_path / "refused", {"processes": processes})
        assert codes == [[1] * processes]
        assert not find_checkpoints(tmp_path / "refused")
        shutil.rmtree(tmp_path / "refused", ignore_errors=True)


def read_state(out: Path) -> dict[str, Any]:
    return json.loads((find_checkpoints(out)[-1] / STATE).read_text())
