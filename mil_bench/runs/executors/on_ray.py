"""Runs on a Ray cluster: one Ray task per run, on whichever node has room."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from mil_bench.base.errors import RunError
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.executors.remote import RemoteContext, failed_outcome
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.task import RunOutcome, Task

RETRIES = 3  # of a run whose node or process died; it resumes from its checkpoint
ADDRESS = "RAY_ADDRESS"
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class RayExecutor:
    """An existing cluster (``RAY_ADDRESS``, or one of this machine), or else a local one.

    Ray reserves ``threads`` CPUs, one GPU where runs use CUDA, and ``memory`` for every run. All
    nodes must see the folder of the runs and the data under the same paths.
    """

    machine: MachineRequest

    def run(self, tasks: Sequence[Task]) -> Iterator[RunOutcome]:
        """See :class:`~mil_bench.runs.grid.Executor`."""
        with _connected():
            needs = self._needs()
            _refuse_without_room(needs)
            make = ray.remote(RemoteContext.make).options(max_retries=RETRIES, **_as_options(needs))
            # Stored once in the cluster, not per task.
            context = ray.put(RemoteContext.here(self.machine))
            waiting, running = deque(tasks), dict[Any, Task]()
            try:
                while waiting or running:
                    # Ray would otherwise queue all and hold them in memory.
                    while waiting and len(running) < self.machine.jobs:
                        task = waiting.popleft()
                        running[make.remote(context, task)] = task
                    (ended,), _ = ray.wait(list(running), num_returns=1)
                    yield self._outcome(ended, running.pop(ended))
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)  # Ctrl-C: checkpoints are written every epoch

    def _needs(self) -> dict[str, float]:
        """The resources that Ray reserves for a run, under Ray's names."""
        needs = {"CPU": float(self.machine.threads)}
        if self.machine.device == "cuda":
            needs["GPU"] = 1.0
        if self.machine.memory is not None:
            needs["memory"] = self.machine.memory * 1e9
        return needs

    def _outcome(self, reference: Any, task: Task) -> RunOutcome:
        try:
            outcome: RunOutcome = ray.get(reference)
        except RayError as error:
            directory = RunDirectory.of(self.machine.runs, task.spec)
            return failed_outcome(task, directory, _sentence_about(error))
        return outcome


def _sentence_about(error: RayError) -> str:
    retry = "then run `mil-bench retry --failed`."
    if isinstance(error, RayTaskError):
        return (
            f"a Ray worker could not begin the run ({type(error.cause).__name__}: {error.cause}); "
            f"every node needs the same installation and folders; correct that, {retry}"
        )
    return (
        f"the Ray worker died in each of {RETRIES + 1} attempts ({type(error).__name__}); if the "
        f"system ran out of memory, reserve more with --memory, {retry}"
    )


@contextmanager
def _connected() -> Iterator[None]:
    """Use the existing cluster, or start one on this machine where there is none."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    address = os.environ.get(ADDRESS)
    if address is not None:
        _check_address(address)
    try:
        # Ray reads the address from the environment itself.
        ray.init(logging_level="ERROR", log_to_driver=False, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RunError(f"{_unreachable(address)} ({str(error).partition(chr(10))[0]})") from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Fail within seconds at a wrong address; Ray itself would try for two minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:  # "auto" and "local" need no network
        return
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise RunError(f"{_unreachable(address)} ({error})") from None


def _unreachable(address: str | None) -> str:
    return (
        f"no Ray cluster answers at {address or 'this machine'}; start one with `ray start --head` "
        f"and set {ADDRESS} to its address, or unset {ADDRESS} to use only this machine"
    )


def _refuse_without_room(needs: dict[str, float]) -> None:
    """Refuse a task that no node could ever take, because Ray would wait for ever."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    # A running cluster may be full now: only impossible requests are refused.
    if not any(all(node.get(k, 0.0) >= v for k, v in needs.items()) for node in nodes):
        best = {name: max(node.get(name, 0.0) for node in nodes) for name in needs}
        raise RunError(
            f"no node of the Ray cluster has room for a run: a run requests {_listed(needs)}, and "
            f"the largest nodes have {_listed(best)}; lower --threads or --memory, use --device "
            "cpu, or add a node."
        )


def _listed(resources: dict[str, float]) -> str:
    """``2 CPU, 1 GPU, 8.0 GB``."""
    memory = [f"{v / 1e9:.1f} GB" for k, v in resources.items() if k == "memory"]
    return ", ".join([f"{v:g} {k}" for k, v in resources.items() if k != "memory"] + memory)


def _as_options(needs: dict[str, float]) -> dict[str, float]:
    names = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
    return {names[name]: value for name, value in needs.items()}
