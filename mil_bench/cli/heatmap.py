"""``mil-bench heatmap``: where the model of a run looked on a slide."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import dataset_options


def heatmap(parser: Parser, words: Sequence[str]) -> int:
    """Draw the maps of one or several slides; one that cannot be drawn does not stop the others."""
    given = _parsed(parser, words)
    from rich.console import Console
    from rich.markup import escape

    from mil_bench.base.errors import MilBenchError, RunError
    from mil_bench.base.plugins import load_plugins
    from mil_bench.heatmaps.find_run import DataOfRuns, find_run
    from mil_bench.heatmaps.make import Wanted, write_heatmaps
    from mil_bench.runs.load_run import load_run
    from mil_bench.runs.machine import devices

    load_plugins(given.plugin)
    directory = find_run(given.runs, given.run)
    data = DataOfRuns(given.runs, given.dataset, dataset_options(given))
    [device] = devices(given.device, 1)
    run = load_run(directory, data.of(directory.read_spec()), device)
    console = Console()
    console.print(f"{run.spec.title}, run {directory.path.name}", highlight=False)
    wanted = Wanted(given.level, given.class_name, given.by, given.slides)
    refused: list[MilBenchError] = []
    for slide in given.slide:
        try:
            written = write_heatmaps(run, slide, wanted)
        except MilBenchError as error:
            refused.append(error)
            continue
        console.print(
            f"{escape(slide)}: {len(written.pictures)} pictures by "
            f"{escape('; '.join(written.sources))}, in {escape(str(written.folder))}",
            highlight=False,
            soft_wrap=True,
        )
        for note in written.notes:
            console.print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)
    if len(refused) < len(given.slide):
        console.print(f"page: {escape(str(directory.path / 'heatmaps' / 'index.html'))}")
    if refused:
        raise refused[0] if len(refused) == 1 else RunError(" ".join(map(str, refused)))
    return 0


def _parsed(parser: Parser, words: Sequence[str]) -> Namespace:
    parser.add_argument(
        "--run", metavar="KEY", required=True, help="Key of a finished run, or how it begins."
    )
    parser.add_argument(
        "--slide", metavar="ID", required=True, action="append", help="A slide id; repeatable."
    )
    parser.add_argument("--level", help="Only this level of the tree, such as coarse or leaf.")
    parser.add_argument(
        "--class", dest="class_name", metavar="NAME", help="Only this class of the tree."
    )
    add_shared(parser, "by")
    parser.add_argument(
        "--slides",
        metavar="DIR",
        type=Path,
        help="Folder, table or file of slides, to draw over them and to show patches.",
    )
    add_shared(parser, "runs")
    group = parser.add_argument_group("data, where the plan of the run does not tell")
    add_shared(group, "dataset", "data_root", "features", "tree", "cache_dir", "plugin")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
    return parser.parse(words)


# ``mil-bench localise``: how well attention finds the patches that are known.


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

    from mil_bench.base.plugins import load_plugins
    from mil_bench.base.plural import counted
    from mil_bench.heatmaps.find_run import DataOfRuns, find_run
    from mil_bench.heatmaps.localisation import localise_runs
    from mil_bench.heatmaps.localisation_table import localisation_screen
    from mil_bench.runs.directory import run_directories
    from mil_bench.runs.machine import devices
    from mil_bench.runs.studies.stored_plans import no_runs

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
