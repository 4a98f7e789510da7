"""Runs on Slurm: job arrays with one job per run, requeued when preempted or out of time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError, UncompletedJobError

from mil_bench.base.errors import RunError, UsageError
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.executors.remote import RemoteContext, failed_outcome
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.task import RunOutcome, Task

LARGEST_ARRAY = 1000  # Slurm's MaxArraySize is 1001 unless its administrator changed it
MINUTES = 240  # a run that needs more is requeued and resumes from its checkpoint
TIMEOUTS = 20
LOOK_SECONDS = 2.0
Queue: TypeAlias = Any  # submitit's executor and job: types of an extra, which may not be installed
Job: TypeAlias = Any


@dataclass(frozen=True)
class Checkpointable:
    """What a job calls. When Slurm ends the job early, the same call is queued again.

    The checkpoint itself is the run directory's, written after every epoch.
    """

    context: RemoteContext

    def __call__(self, task: Task) -> RunOutcome:
        """Execute the run."""
        return self.context.make(task)

    def checkpoint(self, task: Task) -> submitit.helpers.DelayedSubmission:
        """Return the call to queue; submitit calls this shortly before the job is ended."""
        # The same task: its checkpoint decides where it resumes.
        return submitit.helpers.DelayedSubmission(self, task)


@dataclass(frozen=True)
class SlurmExecutor:
    """The cluster whose ``sbatch`` is on this machine; logs are in ``<runs>/.slurm/``.

    All machines must see the folder of the runs and the data under the same paths.
    """

    machine: MachineRequest

    def run(self, tasks: Sequence[Task]) -> Iterator[RunOutcome]:
        """See :class:`~mil_bench.runs.grid.Executor`."""
        queue = open_queue(self.machine)
        call = Checkpointable(RemoteContext.here(self.machine))
        jobs: dict[str, tuple[Job, Task]] = {}
        try:
            for start in range(0, len(tasks), LARGEST_ARRAY):  # Slurm limits the size of one array
                array = tasks[start : start + LARGEST_ARRAY]
                for job, task in zip(_submit(queue, call, array), array, strict=True):
                    jobs[job.job_id] = (job, task)
            submitted = [job for job, _ in jobs.values()]
            for job in submitit.helpers.as_completed(submitted, poll_frequency=LOOK_SECONDS):
                yield self._outcome(*jobs.pop(job.job_id))
        finally:
            for job, _ in jobs.values():
                job.cancel(check=False)  # jobs may have ended already

    def _outcome(self, job: Job, task: Task) -> RunOutcome:
        try:
            outcome: RunOutcome = job.result()
        except UncompletedJobError:
            sentence = (
                f"Slurm job {job.job_id} ended without a result (state {job.state}); see "
                f"{job.paths.stderr}, request more with --memory or --slurm, then run `mil-bench "
                "retry --failed`."
            )
            return failed_outcome(task, RunDirectory.of(self.machine.runs, task.spec), sentence)
        return outcome


def open_queue(machine: MachineRequest) -> Queue:
    """Return Slurm's queue with the resources of one run.

    Raises ``UsageError`` where Slurm is not installed.
    """
    options = dict(machine.slurm)
    minutes = options.pop("time", str(MINUTES))  # default of mil-bench, not of Slurm
    if not minutes.isdecimal():
        raise UsageError(
            f"--slurm time={minutes} is not a whole number of minutes; pass e.g. time=240."
        )
    try:
        # TIMEOUTS: how often a job may be requeued.
        queue = submitit.SlurmExecutor(machine.runs / ".slurm", max_num_timeout=TIMEOUTS)
    except RuntimeError:
        raise UsageError(
            "--executor slurm requires Slurm's commands, and this machine has no srun; run the "
            "same command on a login node, or use --executor local or ray."
        ) from None
    queue.update_parameters(
        job_name="mil-bench",
        time=int(minutes),
        cpus_per_task=machine.threads,
        array_parallelism=machine.jobs,
        additional_parameters=options,
        **({"gpus_per_node": 1} if machine.device == "cuda" else {}),
        **({"mem": f"{machine.memory:g}GB"} if machine.memory is not None else {}),
    )
    return queue


def _submit(queue: Queue, call: Checkpointable, array: Sequence[Task]) -> list[Job]:
    try:
        jobs: list[Job] = queue.map_array(call, array)
    except (FailedSubmissionError, FailedJobError, subprocess.CalledProcessError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"sbatch refused the jobs ({reason}); correct --slurm, --memory, --device or --threads."
        ) from None
    return jobs
