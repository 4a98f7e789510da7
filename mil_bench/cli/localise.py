"""``mil-bench localise``: how well attention finds the patches that are known."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import dataset_options


def localise(parser: Parser, words: Sequence[str]) -> int:
    """Score runs and print them by method; exit code 1 when a run could not be scored.

    Runs on data without known patches count only where they were asked for by key.
    """
    parser.add_argument(
        "--run", metavar="KEY", action="append", default=[], help="Only this run; repeatable."
    )
    add_shared(parser, "by")
    parser.add_argument(
        "--again",
        action="store_true",
        help="Compute also what is there already, and replace it, as every --by but auto does.",
    )
    add_shared(parser, "runs")
    group = parser.add_argument_group("data, where the plan of a run does not tell")
    add_shared(group, "dataset", "data_root", "features", "tree", "cache_dir", "plugin")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
    given = parser.parse(words)
    from rich.console import Console
    from rich.markup import escape

    from mil_bench.heatmaps.find import DataOfRuns, find_run
    from mil_bench.heatmaps.localisation_screen import localisation_screen
    from mil_bench.heatmaps.localise_runs import localise_runs
    from mil_bench.plugins import load_plugins
    from mil_bench.runs.devices import devices
    from mil_bench.runs.directory import run_directories
    from mil_bench.studies.stored import no_runs
    from mil_bench.words import counted

    load_plugins(given.plugin)
    places = run_directories(given.runs)
    if not places:
        raise no_runs(given.runs)
    chosen = [find_run(given.runs, key) for key in given.run] or places
    data = DataOfRuns(given.runs, given.dataset, dataset_options(given))
    [device] = devices(given.device, 1)
    made = localise_runs(chosen, data, device, given.by, given.again)
    console = Console()
    for table in localisation_screen(made.rows):
        console.print(table)
    boards = "; `mil-bench leaderboard` puts them on boards" if made.rows else ""
    console.print(
        f"{counted(len(made.rows) - made.kept, 'run')} scored, {made.kept} before, "
        f"{len(made.unknown)} on data without known patches, {len(made.refused)} refused{boards}",
        highlight=False,
        soft_wrap=True,
    )
    for key, why in made.refused.items():
        console.print(f"[yellow]note[/] {key}: {escape(why)}", highlight=False, soft_wrap=True)
    return 1 if made.refused or (given.run and made.unknown) else 0
