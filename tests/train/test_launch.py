"""`incoder launch slurm`, against a Slurm of three small programs on the PATH that run the script here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import incoder

from incoder_train.launch import NOTICE, REQUEUE, RESTARTS

RECIPE = """
name = "sky"
model = "tiny"
[data]
train = "{data}/train"
validation = "{data}/validation"
tokenizer = "{data}/tokenizer.json"
context = 64
[run]
batch_size = 2
steps = {steps}
log_every = 1
validation_batches = 1
[machine]
device = "cpu"
precision = "fp32"
"""
# sbatch runs the script at once, and again as long as it was requeued. What Slurm says in the environment comes from directives.
SBATCH = """
script = sys.argv[-1]
options = dict(line.split("--", 1)[1].strip().strip("'").partition("=")[::2]
               for line in open(script) if line.startswith("#SBATCH"))
if options.get("account") == "nobody":
    sys.exit("sbatch: error: Invalid account\\nsbatch: error: Batch job submission failed")
environment = os.environ | {"SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_NTASKS": options["ntasks"]}
log = open(options["output"].replace("%j", "17"), "a")
requeued = here / "requeued"
codes = []
while not codes or requeued.exists():
    requeued.unlink(missing_ok=True)
    codes.append(subprocess.run(["bash", script], cwd=options["chdir"], env=environment, stdout=log, stderr=log).returncode)
(here / "codes").write_text(json.dumps(codes))
print("17;cluster")
"""
SCONTROL = """
if sys.argv[1:] == ["requeue", "17"]:
    (here / "requeued").touch()
else:
    assert sys.argv[1:] == ["show", "hostnames", "node[1-2]"], sys.argv
    print("node1\\nnode2")
"""
# srun runs the command once for each task, and once tells them that the time is nearly up, when the file named in `notice` is
# there; or, where a test says how it should end, notes the environment and ends so.
SRUN = """
command = sys.argv[sys.argv.index("bash"):]
tasks = int(os.environ["SLURM_NTASKS"])
script = here / "endings"
if script.exists():
    ending, *rest = json.loads(script.read_text())
    script.write_text(json.dumps(rest))
    said = "echo $RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $MASTER_ADDR $MASTER_PORT"
    command = [*command[:4], "bash", "-c", said]
else:
    ending = None
    os.environ["MASTER_ADDR"] = "localhost"
tasks = [subprocess.Popen(command, env=os.environ | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank % 2)})
         for rank in range(tasks)]
notice = here / "notice"
if notice.exists():
    while not os.path.exists(notice.read_text()) and all(task.poll() is None for task in tasks):
        time.sleep(0.01)
    notice.unlink()
    for task in tasks:
        task.send_signal(signal.SIGUSR1)
codes = [code if code >= 0 else 128 - code for code in (task.wait() for task in tasks)]
sys.exit(max(codes) if ending is None else ending)
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the programs on the PATH and stands in a folder with a recipe; returns the programs' folder."""
    programs = tmp_path / "slurm"
    programs.mkdir()
    start = f"#!{sys.executable}\nimport json, os, pathlib, signal, subprocess, sys, time\nhere = pathlib.Path(__file__).parent\n"
    for name, text in (("sbatch", SBATCH), ("scontrol", SCONTROL), ("srun", SRUN)):
        (programs / name).write_text(start + text, encoding="utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    paths = (str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    work = tmp_path / "work folder"
    work.mkdir()
    monkeypatch.chdir(work)
    Path("sky.toml").write_text(RECIPE.format(data="nowhere", steps=2), encoding="utf-8")
    return programs


def test_a_dry_run_writes_a_script_that_bash_can_read(slurm: Path) -> None:
    options = ("--nodes", 31, "--time", "24:00:00", "--partition", "gpu", "--sbatch=--account=physics", "--dry-run")
    result = incoder("launch", "slurm", "sky.toml", *options)
    assert (result.exit_code, result.stdout) == (0, "runs/sky/slurm.sh\n")
    script = Path("runs/sky/slurm.sh").read_text(encoding="utf-8")
    for directive in (
        "--job-name=sky",
        "--nodes=31",
        "--ntasks=248",
        "--ntasks-per-node=8",
        "--gres=gpu:8",
        "--requeue",
        f"--signal=USR1@{NOTICE}",
        "--time=24:00:00",
        "--partition=gpu",
        "--account=physics",
    ):
        assert f"\n#SBATCH {directive}\n" in script
    assert script.index("#SBATCH --account") < script.index(
        "export"
    )  # Slurm reads no directive after the first command
    assert subprocess.run(["bash", "-n", "runs/sky/slurm.sh"], check=False).returncode == 0
    assert not (slurm / "codes").exists()


@pytest.mark.parametrize(
    ("endings", "codes", "starts"),
    [
        ([0], [0], 1),
        ([REQUEUE, REQUEUE, 0], [0, 0, 0], 3),  # told to stop twice, each time back into the queue
        ([137, 139, 0], [0], 3),  # killed twice, started again in place
        ([137, REQUEUE, 0], [0, 0], 3),
        ([1], [1], 1),  # a sentence for a person
        ([137] * (RESTARTS + 2), [137], RESTARTS + 1),
    ],
)
def test_how_a_job_goes_on(slurm: Path, endings: list[int], codes: list[int], starts: int) -> None:
    (slurm / "endings").write_text(json.dumps(endings), encoding="utf-8")
    result = incoder("launch", "slurm", "sky.toml", "--nodes", 2, "--gpus-per-node", 2)
    assert (result.exit_code, result.stdout) == (0, "job 17: runs/sky/slurm.sh\n")
    assert json.loads((slurm / "codes").read_text(encoding="utf-8")) == codes
    assert len(json.loads((slurm / "endings").read_text(encoding="utf-8"))) == len(endings) - starts
    log = Path("runs/sky/slurm-17.log").read_text(encoding="utf-8")
    for rank in range(4):  # what torchrun would have said to each process
        assert log.count(f"{rank} {rank % 2} 4 2 node1 20017\n") == starts


@pytest.mark.proof
def test_a_job_whose_time_is_up_goes_on_in_the_next_one(slurm: Path, data_directory: Path) -> None:
    """Two processes, told to stop once the run is under way: they save, the job is requeued, and the next one ends the run."""
    Path("sky.toml").write_text(RECIPE.format(data=data_directory, steps=100), encoding="utf-8")
    (slurm / "notice").write_text("runs/sky/metrics.jsonl", encoding="utf-8")
    result = incoder("launch", "slurm", "sky.toml", "--gpus-per-node", 2)
    log = Path("runs/sky/slurm-17.log").read_text(encoding="utf-8")
    assert result.exit_code == 0
    assert json.loads((slurm / "codes").read_text(encoding="utf-8")) == [0, 0], log
    assert log.count("stopped by a signal") == 1
    assert log.count("saved; back into the queue") == 1
    steps = [json.loads(line) for line in Path("runs/sky/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in steps if "loss" in line] == list(range(1, 101))
    assert Path("runs/sky/step-00000100").is_dir()


def test_no_sbatch_is_one_sentence(slurm: Path) -> None:
    (slurm / "sbatch").unlink()
    result = incoder("launch", "slurm", "sky.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "incoder: there is no sbatch on the PATH; run this where jobs are submitted, or only write it with --dry-run\n"
    )
    assert not Path("runs").exists()


def test_what_sbatch_refuses_is_one_sentence(slurm: Path) -> None:
    result = incoder("launch", "slurm", "sky.toml", "--sbatch=--account=nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "sbatch refused runs/sky/slurm.sh: sbatch: error: Invalid account sbatch: error: Batch job" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_recipe_that_cannot_be_read_is_not_submitted(slurm: Path) -> None:
    Path("sky.toml").write_text("name = 3", encoding="utf-8")
    result = incoder("launch", "slurm", "sky.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert not Path("runs").exists()
