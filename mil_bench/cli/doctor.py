"""``mil-bench doctor``: can this machine make runs, and what to do if not."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser


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

    from mil_bench.doctor.examine import examine
    from mil_bench.finding import problems, render, render_verdict

    console = Console()
    findings = examine(given.runs, given.data_root, given.cache_dir, given.storage)
    render(findings, console)
    render_verdict(problems(findings), console)
    return 1 if problems(findings) else 0
