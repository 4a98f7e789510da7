"""How runs are made: the options that commands share which make runs."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mil_bench.cli.parse import settings
from mil_bench.cli.parser import Parser, at_least

if TYPE_CHECKING:
    from mil_bench.runs.machine import MachineRequest

EVERYWHERE = 256  # jobs where others queue what they have no room for


def declare_machine(parser: Parser, *, with_precision: bool = True) -> None:
    """Where, how many at a time, and on what; the precision of planned runs is decided already."""
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--executor",
        choices=("local", "ray", "slurm"),
        default="local",
        help="Who makes the runs: processes of this machine, a Ray cluster, or Slurm.",
    )
    group.add_argument(
        "--jobs",
        metavar="N",
        type=at_least(1),
        help="Runs at the same time (default: 1; with ray or slurm as many as there is room for).",
    )
    group.add_argument(
        "--threads",
        metavar="N",
        type=at_least(1),
        default=1,
        help="CPU threads of each run; more help large bags, and change the last bits.",
    )
    group.add_argument(
        "--memory",
        metavar="GB",
        type=at_least(1),
        help="Memory that Ray or Slurm keeps for each run.",
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
    if with_precision:
        group.add_argument(
            "--precision", choices=("auto", "32", "bf16", "16"), default="auto", help="Arithmetic."
        )
    group.add_argument(
        "--cache",
        choices=("auto", "ram", "gpu", "none"),
        default="auto",
        help="Where features are kept between epochs; changes no result.",
    )
    group.add_argument(
        "--slurm",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="An option of sbatch, such as partition=gpu or time=240; repeatable.",
    )


def machine_request(given: Namespace) -> MachineRequest:
    """The values of :func:`declare_machine`, ``--runs`` and ``--existing``, where declared."""
    from mil_bench.runs.machine import MachineRequest

    return MachineRequest(
        runs=given.runs,
        existing=getattr(given, "existing", "skip"),
        executor=given.executor,
        jobs=given.jobs or (1 if given.executor == "local" else EVERYWHERE),
        threads=given.threads,
        device=given.device,
        cache=given.cache,
        memory=given.memory,
        slurm=tuple(settings(given.slurm, "--slurm").items()),
    )
