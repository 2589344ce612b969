"""Runs on a cluster: a recipe goes in; a Slurm batch script in the run's folder, submitted, comes out.

The script starts one process on each GPU with the variables that torchrun would set, and no torchrun between: so Slurm's
signals reach the training itself, and its exit code reaches the script. What the code says:

    0           done
    REQUEUE     the training was told to stop (SIGUSR1, five minutes before the time is up) and has saved: back into the queue
    over 128    a process was killed: start again from the last checkpoint, a few times
    else        an error that a person must read: stop

A node that fails is Slurm's own business, which requeues the job; so is preemption. `scancel` ends it for good.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from incoder_train.errors import UserError

REQUEUE = 85  # the exit code of a training that has saved and wants to go on later
NOTICE = 300  # seconds between the signal and the end of the job's time
RESTARTS = 3  # after a process was killed
WAIT = 120  # seconds for the other processes to end after the first
SCRIPT = "slurm.sh"


def launch_slurm(
    recipe: Path,
    run: Path,
    *,
    name: str,
    nodes: int,
    gpus_per_node: int,
    time: str | None = None,
    partition: str | None = None,
    options: Sequence[str] = (),
    dry_run: bool = False,
) -> tuple[Path, str | None]:
    """Write the script for `recipe` into `run` and submit it; returns the script and the job's id.

    `options` are further ones of sbatch, such as --account=physics. Raises UserError when it cannot be submitted."""
    if not dry_run and shutil.which("sbatch") is None:
        raise UserError(
            "there is no sbatch on the PATH; run this where jobs are submitted, or only write it with --dry-run"
        )
    script = run / SCRIPT
    run.mkdir(parents=True, exist_ok=True)
    text = slurm_script(
        recipe,
        run,
        name=name,
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        options=[
            *([f"--time={time}"] if time else []),
            *([f"--partition={partition}"] if partition else []),
            *options,
        ],
    )
    unfinished = script.with_name(f".{SCRIPT}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(script)
    if dry_run:
        return script, None
    submitted = subprocess.run(["sbatch", "--parsable", str(script)], capture_output=True, text=True, check=False)
    if submitted.returncode:
        said = " ".join(submitted.stderr.split()) or f"exit code {submitted.returncode}"
        raise UserError(f"sbatch refused {script}: {said}")
    return script, submitted.stdout.strip().split(";")[0]


def slurm_script(
    recipe: Path, run: Path, *, name: str, nodes: int, gpus_per_node: int, options: Sequence[str] = ()
) -> str:
    """The whole batch script. Paths in the recipe stay relative to the folder one stands in now."""
    here = Path.cwd()
    directives = [
        f"--job-name={name}",
        f"--nodes={nodes}",
        f"--ntasks={nodes * gpus_per_node}",
        f"--ntasks-per-node={gpus_per_node}",
        f"--gres=gpu:{gpus_per_node}",
        f"--chdir={here}",
        f"--output={here / run / 'slurm-%j.log'}",
        "--open-mode=append",
        "--requeue",
        f"--signal=USR1@{NOTICE}",
        *options,
    ]
    training = shlex.join([sys.executable, "-m", "incoder_train", "train", str(recipe), "--out", str(run), "--resume"])
    return _SCRIPT.format(
        directives="\n".join(f"#SBATCH {shlex.quote(one)}" for one in directives),
        training=training,
        gpus_per_node=gpus_per_node,
        wait=WAIT,
        requeue=REQUEUE,
        restarts=RESTARTS,
    )


_SCRIPT = r"""#!/bin/bash
{directives}
# Written by `incoder launch slurm`. The signal goes to the training on every GPU, not to this shell.

export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export LOCAL_WORLD_SIZE={gpus_per_node}

train() {{
  # Once one process has ended, the others have a while to do so: long enough to save, not for ever when one was killed.
  srun --kill-on-bad-exit=0 --wait={wait} bash -c \
    'WORLD_SIZE=$SLURM_NTASKS RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID exec "$@"' rank \
    {training}
}}

for restart in $(seq 0 {restarts}); do
  train
  code=$?
  if [ "$code" -eq {requeue} ]; then
    echo "saved; back into the queue"
    exec scontrol requeue "$SLURM_JOB_ID"
  fi
  [ "$code" -gt 128 ] || exit "$code"  # done, or an error that a restart would only repeat
  echo "a process was killed (exit code $code); restart $((restart + 1)) of {restarts}"
done
exit "$code"
"""
