"""Slurm's commands for one machine: array jobs as processes, requeued when told.

``install(folder)`` writes programs ``sbatch``, ``srun``, ``sacct``, ``scontrol`` and ``scancel``
into ``folder``. State is beside them: ``ID.state``, ``ID.pid`` and ``ID.requeue`` for every job.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

COMMANDS = ("sbatch", "srun", "sacct", "scontrol", "scancel")
ARRAY = re.compile(r"^#SBATCH --array=0-(\d+)%(\d+)$", re.MULTILINE)
ONE_NODE = dict.fromkeys(["SLURM_NODEID", "SLURM_PROCID", "SLURM_LOCALID"], "0")
ONE_NODE |= {"SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "here"}


def install(folder: Path) -> None:
    """Write the programs."""
    folder.mkdir()
    for name in COMMANDS:
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {folder} {name} "$@"\n')
        program.chmod(0o755)


def preempt(folder: Path, job: str) -> None:
    """What Slurm does before it takes a machine away."""
    os.kill(int((folder / f"{job}.pid").read_text()), signal.SIGUSR2)


def sbatch(folder: Path, script: str) -> None:
    """Accept a job or an array of jobs and return at once."""
    text = Path(script).read_text()
    if "--partition=nowhere" in text:
        sys.exit("sbatch: error: invalid partition specified: nowhere")
    number = str(70 + len(list(folder.glob("*.sh"))))
    (folder / f"{number}.sh").write_text(text)
    command = [sys.executable, __file__, str(folder), "supervise", number]
    with (folder / "supervise.log").open("a") as log:
        subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)
    print(f"Submitted batch job {number}")


def supervise(folder: Path, number: str) -> None:
    """Make the jobs of an array, as many at a time as it allows."""
    array = ARRAY.search((folder / f"{number}.sh").read_text())
    count, parallel = (int(array[1]) + 1, int(array[2])) if array else (1, 1)
    with ThreadPoolExecutor(parallel) as pool:
        for i in range(count):
            pool.submit(_make, folder, number, i if array else None)


def _make(folder: Path, number: str, index: int | None) -> None:
    job = number if index is None else f"{number}_{index}"
    names = {"SLURM_JOB_ID": number}
    if index is not None:
        names |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": str(index)}
    state, requeue = folder / f"{job}.state", folder / f"{job}.requeue"
    while True:
        state.write_text("RUNNING")
        done = subprocess.run(
            ["bash", folder / f"{number}.sh"], env={**os.environ, **ONE_NODE, **names}, check=False
        )
        if not requeue.exists():
            break
        requeue.rename(folder / f"{job}.requeued")
    state.write_text("COMPLETED" if done.returncode == 0 else "OUT_OF_MEMORY")


def srun(folder: Path, *words: str) -> None:
    """Become the program of the job, with its output in the files that the options name."""
    number = os.environ.get("SLURM_ARRAY_JOB_ID", os.environ["SLURM_JOB_ID"])
    index = os.environ.get("SLURM_ARRAY_TASK_ID")
    job = number if index is None else f"{number}_{index}"
    (folder / f"{job}.pid").write_text(str(os.getpid()))
    assert words[:2] == ("--unbuffered", "--output")
    assert words[3] == "--error"
    for handle, pattern in ((1, words[2]), (2, words[4])):
        name = pattern.replace("%A_%a", job).replace("%j", job).replace("%t", "0")
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, handle)
    os.execvp(words[5], words[5:])


def sacct(folder: Path, *words: str) -> None:
    """The state of the jobs asked for."""
    print("JobID|State|NodeList")
    for word, number in pairwise(words):
        if word == "-j":
            for path in [*folder.glob(f"{number}.state"), *folder.glob(f"{number}_*.state")]:
                print(f"{path.stem}|{path.read_text()}|here")


def scontrol(folder: Path, action: str, job: str) -> None:
    """Put a job into the queue again."""
    assert action == "requeue"
    (folder / f"{job}.requeue").touch()


def scancel(folder: Path, job: str) -> None:
    """End a job."""
    (folder / f"{job}.cancelled").touch()
    os.kill(int((folder / f"{job}.pid").read_text()), signal.SIGKILL)


if __name__ == "__main__":
    globals()[sys.argv[2]](Path(sys.argv[1]), *sys.argv[3:])
