"""What commands that make a grid have in common: show its plan, or store the plan and make it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mil_bench.runs.directory import Status
    from mil_bench.runs.machine import MachineRequest
    from mil_bench.runs.task import Prepare, Task


def carry_out(
    given: Namespace,
    title: str,
    tasks: Sequence[Task],
    machine: MachineRequest,
    prepare: Prepare,
) -> int:
    """Obey ``--dry-run``, or make the runs; the exit code. Other terminals see the stored plan."""
    if given.dry_run:
        return _show(tasks, machine)
    from rich.console import Console

    from mil_bench.runs import grid
    from mil_bench.studies.stored import store_grid

    store_grid(machine.runs, title, tasks, machine.jobs)
    return 1 if grid.run_tasks(tasks, machine, Console(), prepare).failed else 0


def _show(tasks: Sequence[Task], machine: MachineRequest) -> int:
    from rich.console import Console

    from mil_bench.studies.progress import PENDING, look
    from mil_bench.studies.show import print_plan
    from mil_bench.studies.timing import timings

    further: dict[str, set[Status]] = {
        "skip": set(),
        "retry-failed": {"failed"},
        "overwrite": {"failed", "done"},
    }
    states = look(machine.runs, [task.spec for task in tasks])
    known = timings(machine.runs, {task.spec.dataset for task in tasks})
    pending = PENDING | further[machine.existing]
    print_plan(states, known, machine.jobs, pending, Console())
    return 0
