"""The pipeline on Ray and on Slurm gives the bytes of the embedded runner. Ray is the real one, on this machine; of Slurm's
commands there are stand-ins that note what they are given and run the array's tasks one after the other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from incoder_train.corpus.build import DOCUMENTS, REPORT, build_corpus
from incoder_train.corpus.executors import submit_to_slurm
from incoder_train.corpus.runner import Step
from incoder_train.errors import UserError

SBATCH = """#!/bin/bash
for script; do :; done                           # the last argument
count=$(ls "$JOBS" | wc -l)
{ echo "$@"; cat "$script"; } > "$JOBS/$count"
if grep -q launch_pickled_pipeline "$script"; then
    last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
    for task in $(seq "$last" -1 0); do
        SLURM_ARRAY_TASK_ID=$task SLURM_NODELIST=here RUN_OFFSET=0 bash "$script" >> "$JOBS.log" 2>&1 || exit 1
    done
fi
echo "Submitted batch job $count"
"""
STAND_INS = {
    "sbatch": SBATCH,
    "srun": '#!/bin/bash\nwhile [[ $1 == -* || $1 == [0-9]* ]]; do shift; done\nexec "$@"\n',
    "scontrol": "#!/bin/bash\necho here\n",
}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where `sbatch` notes each job, by number."""
    jobs, commands = tmp_path / "jobs", tmp_path / "commands"
    jobs.mkdir()
    commands.mkdir()
    for name, content in STAND_INS.items():
        (commands / name).write_text(content)
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("JOBS", str(jobs))
    return jobs


def build(manifest: Path, cache: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from incoder_train.cli import app; app()", "data", "build", str(manifest)]
    command += ["--out", str(out), "--cache", str(cache), "--without-decontamination", "--workers", "2", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def expected(manifest: Path, cache: Path, tmp_path: Path) -> dict[str, bytes]:
    build_corpus(manifest, tmp_path / "here", cache=cache, benchmarks=None, without_decontamination=True)
    return {name: (tmp_path / "here" / name).read_bytes() for name in (DOCUMENTS, REPORT)}


@pytest.mark.proof
def test_ray_gives_the_same_bytes(
    manifest: Path, cache: Path, tmp_path: Path, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where Ray keeps its token
    out = tmp_path / "ray"
    finished = build(manifest, cache, out, "--on", "ray", "--keep-work")
    assert finished.returncode == 0, finished.stderr
    assert {name: (out / name).read_bytes() for name in expected} == expected
    done = sorted(
        path.relative_to(out / ".work" / "logs").as_posix() for path in out.glob(".work/logs/*/completions/*")
    )
    assert done == [f"{step}/completions/{rank:05}" for step in ("dedup", "finish", "read") for rank in (0, 1)]


@pytest.mark.proof
def test_slurm_gives_the_same_bytes(
    manifest: Path, cache: Path, tmp_path: Path, expected: dict[str, bytes], slurm: Path
) -> None:
    out = tmp_path / "slurm"
    told = ("--on", "slurm", "--sbatch", "partition=cpu", "--sbatch", "time=04:00:00", "--sbatch", "account=ours")
    submitted = build(manifest, cache, out, *told)
    assert submitted.returncode == 0, submitted.stderr
    assert "run the same command again" in submitted.stdout
    assert not (out / REPORT).exists()

    jobs = {int(path.name): path.read_text() for path in slurm.iterdir()}
    arrays = {number: job for number, job in jobs.items() if "launch_pickled_pipeline" in job}
    names = [re.findall(r"--job-name=(\S+)", job)[0] for _, job in sorted(arrays.items())]
    assert names == ["incoder-read", "incoder-dedup", "incoder-finish"]
    for job in arrays.values():
        assert all(
            f"#SBATCH --{line}\n" in job for line in ("partition=cpu", "time=04:00:00", "account=ours", "array=0-1%2")
        )
    waits = [re.findall(r"--dependency=afterok:(\d+)", job.splitlines()[0]) for _, job in sorted(arrays.items())]
    numbers = sorted(arrays)
    assert waits == [[], [str(numbers[0])], [str(numbers[1])]]

    joined = build(manifest, cache, out, *told)
    assert joined.returncode == 0, joined.stderr
    assert {name: (out / name).read_bytes() for name in expected} == expected
    assert len(list(slurm.iterdir())) == len(jobs)  # nothing more was submitted


def nothing(rank: int, world: int, work: Path) -> dict[str, int]:
    return {}


@pytest.mark.parametrize(("sbatch", "missing"), [({}, "partition"), ({"partition": "cpu"}, "time")])
def test_slurm_must_be_told_where_and_how_long(tmp_path: Path, sbatch: dict[str, str], missing: str) -> None:
    with pytest.raises(UserError, match=f"--sbatch {missing}=VALUE"):
        submit_to_slurm([Step("nothing", nothing, ("a",))], tmp_path, workers=1, sbatch=sbatch)


def test_without_slurm_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no sbatch on this machine"):
        submit_to_slurm([Step("nothing", nothing, ("a",))], tmp_path, workers=1, sbatch={"partition": "p", "time": "1"})
