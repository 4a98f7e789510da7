"""Requests for grids of the toy plug-in."""

import sys
from dataclasses import fields
from pathlib import Path

import toy_grid
from rich.console import Console

from mil_bench.base.registry import module_name
from mil_bench.runs.grid import run_tasks
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.task import DataRequest, GridOutcome, remembered

PLUGIN = Path(toy_grid.__file__).resolve()
sys.modules[module_name(PLUGIN)] = toy_grid  # other processes load it; here it is already


def request(runs: Path, **changes) -> tuple[GridRequest, MachineRequest]:
    """One fold and seed of ``plain`` on the CPU, changed as told; what is run, and how."""
    ask = {"dataset": "toy", "methods": ["plain"], "folds": [0], "runs": runs, "device": "cpu"}
    ask |= changes

    def mine(kind):
        return {f.name: ask[f.name] for f in fields(kind) if f.name in ask}

    data = DataRequest(**mine(DataRequest))
    grid, machine = (
        GridRequest(data=data, **mine(GridRequest)),
        MachineRequest(**mine(MachineRequest)),
    )
    unknown = set(ask) - set(mine(DataRequest)) - set(mine(GridRequest)) - set(mine(MachineRequest))
    assert not unknown
    return grid, machine


def run_grid(grid: GridRequest, machine: MachineRequest, console: Console) -> GridOutcome:
    """Plan the grid and execute it, as the command does."""
    prepare = remembered()
    return run_tasks(plan(grid, machine, prepare), machine, console, prepare)
