"""``mil-bench ablate``: components of a method, or values of its settings, and what they pay."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mil_bench.cli.experiment import declare_existing, declare_experiment, grid_request
from mil_bench.cli.grids import carry_out
from mil_bench.cli.machine import declare_machine, machine_request
from mil_bench.cli.options import add_shared
from mil_bench.cli.parse import names
from mil_bench.cli.parser import Parser
from mil_bench.errors import UsageError


def ablate(parser: Parser, words: Sequence[str]) -> int:
    """Make the runs that are lacking, then the tables; exit code 1 when a run has failed."""
    _declare(parser)
    given = parser.parse(words)
    (method, *others) = names("--method", given.method)
    if others:
        raise UsageError(f"--method names {given.method}; ablate studies one method at a time.")
    if given.only and given.vary:
        raise UsageError("--only chooses among declared switches, --vary replaces them; keep one.")
    only = names("--only", given.only) if given.only else []
    metrics = names("--metric", given.metric) if given.metric else []
    grid = grid_request(given, [method])

    from mil_bench.ablation.ablate import plan_ablation
    from mil_bench.ablation.vary import parse_axes
    from mil_bench.runs.task import DataRequest

    axes = parse_axes(given.vary)
    machine, prepare = machine_request(given), cache(DataRequest.prepare)
    ablation = plan_ablation(grid, axes, only, metrics, machine, prepare)
    title = f"ablation of {method} on {given.dataset}"
    code = carry_out(given, title, ablation.tasks, machine, prepare)
    if not given.dry_run:
        from rich.console import Console

        ablation.report(machine.runs, given.out, Console())
    return code


def _declare(parser: Parser) -> None:
    parser.usage = f"{parser.prog} --method NAME --dataset NAME [--vary KEY=VALUES ...] [options]"
    parser.add_argument("--method", "-m", metavar="NAME", required=True, help="One method.")
    add_shared(parser, "dataset", required=True)
    parser.add_argument(
        "--vary",
        metavar="KEY=VALUES",
        action="append",
        default=[],
        help="Instead of switches, every combination of values, such as lr=1e-4,3e-4; any key of "
        "--set, or encoder; repeatable.",
    )
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help="Variants beside the full method, such as no_con,released (default: all).",
    )
    parser.add_argument(
        "--metric",
        metavar="NAMES",
        help="Scores to show (default: balanced accuracy and AUC of the leaf and the top level).",
    )
    add_shared(parser, "runs")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("ablations"), help="Folder of the tables."
    )
    declare_existing(parser)
    add_shared(parser, "plugin")
    declare_experiment(parser)
    declare_machine(parser)
