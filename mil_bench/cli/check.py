"""``mil-bench check`` and ``mil-bench doctor``: is a method, a dataset or this machine ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mil_bench.cli.options import add
from mil_bench.cli.parser import Command, Parser, dispatch, settings
from mil_bench.cli.requests import check_methods, dataset_options, with_plugins

if TYPE_CHECKING:
    from mil_bench.base.finding import Finding

COMMANDS = {
    "method": Command(
        "Check a method against every requirement, on small synthetic bags.",
        f"{__name__}:method",
    ),
    "dataset": Command(
        "Check ids, classes, patients, splits, leaks and features of a dataset.",
        f"{__name__}:dataset",
    ),
}


def check(parser: Parser, words: Sequence[str]) -> int:
    """Run one of :data:`COMMANDS`."""
    parser.usage = f"{parser.prog} COMMAND ..."
    return dispatch(parser, COMMANDS, words)


def method(parser: Parser, words: Sequence[str]) -> int:
    """Check a method; exit code 1 when it does not meet a requirement."""
    add(parser, "method", "--set", "--plugin")
    args = parser.parse(words)
    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    check_methods([args.method])
    from rich.console import Console

    from mil_bench.checks.method.check import Candidate
    from mil_bench.checks.method.suite import CHECKS, examine
    from mil_bench.methods import METHODS

    candidate = Candidate(args.method, METHODS.get(args.method), settings(args.set))
    candidate.config()  # a wrong --set is not a fault of the method
    findings = []
    with Console().status("checking") as status:
        for finding in examine(candidate):
            findings.append(finding)
            status.update(f"{len(findings)} of {len(CHECKS)} checks")
    return _print(findings, f"{args.method} meets every requirement")


def dataset(parser: Parser, words: Sequence[str]) -> int:
    """Check a dataset; exit code 1 when a run could not start."""
    add(parser, "dataset")
    return report_dataset(parser, words)


def report_dataset(parser: Parser, words: Sequence[str]) -> int:
    """Check the dataset whose name ``parser`` takes already."""
    add(parser, "--split", "--data-root", "--features", "--encoder", "--tree")
    add(parser, "--drop-leaky-patients", "--cache-dir", "--plugin")
    args = with_plugins(parser.parse(words))
    from rich.console import Console

    from mil_bench.checks.dataset import check_dataset, show

    # Slides without features are a finding, not an error.
    options = dataset_options(args, allow_missing=True)
    report = check_dataset(args.dataset, options, args.split)
    show(report, Console())
    return 1 if report.problems else 0


def doctor(parser: Parser, words: Sequence[str]) -> int:
    """Check this machine; exit code 1 when something would stop runs."""
    add(parser, "--runs", "--data-root", "--cache-dir", "--storage")
    args = parser.parse(words)
    from mil_bench.checks.machine import examine

    return _print(examine(args.runs, args.data_root, args.cache_dir, args.storage))


def _print(findings: Sequence[Finding], sound: str = "ready to run") -> int:
    from rich.console import Console

    from mil_bench.base.finding import problems, render, render_verdict

    console = Console()
    render(findings, console)
    render_verdict(problems(findings), console, sound)
    return 1 if problems(findings) else 0
