"""``mil-bench check``: does a method or a dataset keep its promises, and what to do if not."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Command, Parser, dispatch, settings
from mil_bench.cli.requests import dataset_options

COMMANDS = {
    "method": Command(
        "Hold a method to what every method promises, on small made-up bags.",
        f"{__name__}:method",
    ),
    "dataset": Command(
        "Report ids, classes, patients, splits, leaks and features of a dataset.",
        f"{__name__}:dataset",
    ),
}


def check(parser: Parser, words: Sequence[str]) -> int:
    """One of :data:`COMMANDS`."""
    parser.usage = f"{parser.prog} COMMAND ..."
    return dispatch(parser, COMMANDS, words)


def method(parser: Parser, words: Sequence[str]) -> int:
    """Exit code 1 when a promise is broken."""
    parser.add_argument("name", metavar="NAME", help="A name of `list methods`.")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="An option of the method other than its default; repeatable.",
    )
    add_shared(parser, "plugin")
    given = parser.parse(words)
    from mil_bench.base.plugins import load_plugins
    from mil_bench.cli.requests import check_methods

    load_plugins(given.plugin)
    check_methods([given.name])
    from rich.console import Console

    from mil_bench.base.finding import problems, render, render_verdict
    from mil_bench.checks.method.check import Candidate
    from mil_bench.checks.method.suite import CHECKS, examine
    from mil_bench.methods import METHODS

    candidate = Candidate(given.name, METHODS.get(given.name), settings(given.set))
    candidate.config()  # a wrong --set is no fault of the method
    console = Console()
    findings = []
    with console.status("checking") as status:
        for finding in examine(candidate):
            findings.append(finding)
            status.update(f"{len(findings)} of {len(CHECKS)} checks")
    render(findings, console)
    render_verdict(problems(findings), console, f"{given.name} keeps what a method promises")
    return 1 if problems(findings) else 0


def dataset(parser: Parser, words: Sequence[str]) -> int:
    """Exit code 1 when a run could not start."""
    parser.add_argument(
        "dataset", metavar="NAME", help="A name of `list datasets`, or a .toml file."
    )
    return report_dataset(parser, words)


def report_dataset(parser: Parser, words: Sequence[str]) -> int:
    """The report on the dataset that ``parser`` already knows how to name."""
    parser.add_argument(
        "--split", metavar="NAME", help="Also check this split (default: the dataset's)."
    )
    add_shared(parser, "data_root", "features", "encoder", "tree")
    add_shared(parser, "drop_leaky_patients", "cache_dir", "plugin")
    given = with_plugins(parser.parse(words))
    from rich.console import Console

    from mil_bench.checks.dataset.report import check_dataset, show

    options = dataset_options(given, allow_missing=True)
    report = check_dataset(given.dataset, options, given.split)
    show(report, Console())
    return 1 if report.problems else 0


def with_plugins(given: Namespace) -> Namespace:
    """The words of a command, once plug-ins are loaded and the dataset is known to exist."""
    from mil_bench.base.plugins import load_plugins
    from mil_bench.cli.requests import check_dataset

    load_plugins(given.plugin)
    check_dataset(given.dataset)
    return given


# ``mil-bench doctor``: can this machine make runs, and what to do if not.


def doctor(parser: Parser, words: Sequence[str]) -> int:
    """Exit code 1 when something would stop runs."""
    add_shared(parser, "runs", "data_root", "cache_dir")
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="A database of tuning studies that must answer (default: the one beside the runs).",
    )
    given = parser.parse(words)
    from rich.console import Console

    from mil_bench.base.finding import problems, render, render_verdict
    from mil_bench.checks.machine.examine import examine

    console = Console()
    findings = examine(given.runs, given.data_root, given.cache_dir, given.storage)
    render(findings, console)
    render_verdict(problems(findings), console)
    return 1 if problems(findings) else 0
