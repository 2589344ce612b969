"""The steps of a pipeline on many machines, through datatrove's executors (the extra `scale`). Steps and a folder that all
machines see go in; afterwards, as far as all went well, every task is finished and `runner.run` finds nothing left to do
but to read the statistics. The tasks are those of the embedded runner, and so are the bytes.

On Ray the caller waits. On Slurm each step becomes a job array that begins when the one before is complete, and the
caller, who cannot wait, runs the same command again when the queue is empty."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import ray
from datatrove.executor.ray import RayPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from incoder_train.corpus.runner import Step, finished, perform
from incoder_train.errors import UserError

LOGS = "logs"  # below the folder of the work: a folder a step, with what datatrove and Slurm write


class Task(PipelineStep):
    """A step of ours as one of datatrove's. Documents do not pass through it: it reads and writes files."""

    type = "incoder"

    def __init__(self, step: Step, work: Path) -> None:
        super().__init__()
        self.name = step.name
        self.step = step
        self.work = work

    def run(self, data: object = None, rank: int = 0, world_size: int = 1) -> None:
        if world_size != self.step.world:
            raise ValueError(f"the step {self.name} has {self.step.world} tasks, not {world_size}")
        perform(self.step, rank, self.work)


def unfinished(step: Step, work: Path) -> list[int]:
    return [rank for rank in range(step.world) if finished(step, rank, work) is None]


def perform_on_ray(steps: Sequence[Step], work: Path, *, workers: int) -> None:
    """Performs all tasks, `workers` at a time, on the cluster that RAY_ADDRESS names, or one started on this machine.
    Raises what a failed task raises: of those that failed, the first is tried again here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    started_here = not ray.is_initialized()
    ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False)
    try:
        for step in steps:
            if not unfinished(step, work):
                continue
            RayPipelineExecutor(
                [Task(step, work)],
                tasks=step.world,
                workers=workers,
                mem_per_cpu_gb=0,  # reserve none: a task that asks for more than there is would wait for ever
                logging_dir=_logs(step, work),
                skip_completed=False,  # `perform` knows better: it compares the inputs, too
            ).run()
            if failed := unfinished(step, work):
                perform(step, failed[0], work)
                raise UserError(
                    f"{len(failed)} of the {step.world} tasks of the step '{step.name}' failed on Ray; "
                    f"{_logs(step, work)} says why. Run the same command again: what is finished is kept."
                )
    finally:
        if started_here:
            ray.shutdown()


def submit_to_slurm(steps: Sequence[Step], work: Path, *, workers: int, sbatch: Mapping[str, str]) -> list[str]:
    """Submits a job array for each step that is not finished, at most `workers` tasks of it at a time, and returns the
    arrays' numbers. `sbatch` are sbatch's long options, without the dashes; `partition` and `time` must be among them."""
    if missing := [option for option in ("partition", "time") if option not in sbatch]:
        raise UserError(f"Slurm must be told the {missing[0]}; add --sbatch {missing[0]}=VALUE.")
    executors: list[SlurmPipelineExecutor] = []
    for step in steps:
        if executors or unfinished(step, work):
            executors.append(
                SlurmPipelineExecutor(
                    [Task(step, work)],
                    tasks=step.world,
                    workers=workers,
                    time=sbatch["time"],
                    partition=sbatch["partition"],
                    qos=sbatch.get("qos", ""),
                    job_name=f"incoder-{step.name}",
                    venv_path=f"{sys.prefix}/bin/activate" if sys.prefix != sys.base_prefix else "",
                    sbatch_args=dict(sbatch),
                    logging_dir=_logs(step, work),
                    skip_completed=False,
                    depends=executors[-1] if executors else None,
                )
            )
    try:
        if executors:
            executors[-1].run()  # submits those before it first
    except FileNotFoundError:
        raise UserError("There is no sbatch on this machine; submit from a login node of the cluster.") from None
    except subprocess.CalledProcessError as error:
        raise UserError(f"sbatch refused the job (exit status {error.returncode}); its words are above.") from None
    return [str(executor.job_id) for executor in executors]


def _logs(step: Step, work: Path) -> str:
    return str(work / LOGS / step.name)
