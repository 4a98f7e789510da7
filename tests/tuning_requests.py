"""Requests for search_options on the toy plug-in."""

import io
from dataclasses import replace

from rich.console import Console
from run_requests import PLUGIN

from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest
from mil_bench.runs.task import DataRequest
from mil_bench.tuning.search import SearchRules, TuneRequest, plan_searches
from mil_bench.tuning.search_syntax import search_options
from mil_bench.tuning.storage import Storage, StorageRequest
from mil_bench.tuning.study import open_study
from mil_bench.tuning.tune import run_tuning

DATA = DataRequest("toy", plugins=(PLUGIN,))


def tuning(trials=4, *, methods=("plain",), folds=(0,), search=("width=3,5,8",), **changes):
    """A quick random search of the toy's width on one fold, changed as told."""
    grid = GridRequest(DATA, methods, folds, settings={"trainer.epochs": "1"})
    rules = SearchRules(**{"sampler": "random", **changes.pop("rules", {})})
    request = TuneRequest(grid, trials, rules, tuple(search_options(search)), only=("width",))
    return replace(request, **changes)


def machine(runs, **changes):
    """One job on the CPU."""
    return MachineRequest(runs=runs, device="cpu", **changes)


def run(request, runs, **changes):
    """Search; the studies and what was said."""
    console = Console(file=io.StringIO(), width=300)
    run_tuning(request, machine(runs, **changes), console)
    return studies(request, runs), console.file.getvalue()


def studies(request, runs):
    """Every search of a request with its study."""
    search_options = plan_searches(request, machine(runs))
    storage = Storage(StorageRequest.beside(runs, request.storage))
    return [(search, open_study(storage, search, request.trials)) for search in search_options]
