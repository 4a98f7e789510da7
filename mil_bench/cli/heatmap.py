"""``mil-bench heatmap`` and ``mil-bench localise``: where models looked, as pictures and scores."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from mil_bench.base.errors import MilBenchError, RunError, UsageError, counted
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import dataset_options


def heatmap(parser: Parser, words: Sequence[str]) -> int:
    """Draw the heatmaps of slides; one that cannot be drawn does not stop the others."""
    args = _heatmap_args(parser, words)
    from rich.console import Console
    from rich.markup import escape

    from mil_bench.base.console import print_note
    from mil_bench.base.registry import load_plugins
    from mil_bench.heatmaps.make import HeatmapRequest, write_heatmaps
    from mil_bench.runs.find_run import DataOfRuns, find_run
    from mil_bench.runs.load_run import load_run
    from mil_bench.runs.machine import devices

    load_plugins(args.plugin)
    directory = find_run(args.runs, args.run[0])
    data = DataOfRuns(args.runs, args.dataset, dataset_options(args))
    [device] = devices(args.device, 1)
    run = load_run(directory, data.of(directory.read_spec()), device)
    console = Console()
    console.print(f"{run.spec.title}, run {directory.path.name}", highlight=False)
    request = HeatmapRequest(args.level, args.class_name, args.relevance, args.slides)
    refused: list[MilBenchError] = []
    for slide in args.slide:
        try:
            written = write_heatmaps(run, slide, request)
        except MilBenchError as error:
            refused.append(error)
            continue
        console.print(
            f"{escape(slide)}: {counted(len(written.pictures), 'picture')} by "
            f"{escape('; '.join(written.sources))}, in {escape(str(written.folder))}",
            highlight=False,
            soft_wrap=True,
        )
        for note in written.notes:
            print_note(note, console)
    if len(refused) < len(args.slide):
        console.print(f"page: {escape(str(directory.path / 'heatmaps' / 'index.html'))}")
    if refused:
        raise refused[0] if len(refused) == 1 else RunError(" ".join(map(str, refused)))
    return 0


def _heatmap_args(parser: Parser, words: Sequence[str]) -> Namespace:
    add(parser, "--run", "--slide", required=True)
    add(parser, "--level", "--class", "--relevance", "--slides", "--runs", "--device")
    _declare_data(parser)
    args = parser.parse(words)
    if len(args.run) > 1:
        raise UsageError("heatmap draws one run at a time; pass one --run.")
    return args


def localise(parser: Parser, words: Sequence[str]) -> int:
    """Score runs and print them by method; exit code 1 when a run could not be scored.

    Runs on data without known patches count only where they were requested by key.
    """
    add(parser, "--run", "--relevance", "--overwrite", "--runs", "--device")
    _declare_data(parser)
    args = parser.parse(words)
    from rich.console import Console

    from mil_bench.base.console import print_note
    from mil_bench.base.registry import load_plugins
    from mil_bench.heatmaps.localisation import localise_runs
    from mil_bench.heatmaps.localisation_table import localisation_screen
    from mil_bench.runs.directory import run_directories
    from mil_bench.runs.find_run import DataOfRuns, find_run
    from mil_bench.runs.machine import devices
    from mil_bench.runs.studies.stored_plans import no_runs

    load_plugins(args.plugin)
    directories = run_directories(args.runs)
    if not directories:
        raise no_runs(args.runs)
    chosen = [find_run(args.runs, key) for key in args.run] or directories
    data = DataOfRuns(args.runs, args.dataset, dataset_options(args))
    [device] = devices(args.device, 1)
    localised = localise_runs(chosen, data, device, args.relevance, args.overwrite)
    console = Console()
    for table in localisation_screen(localised.rows):
        console.print(table)
    boards = "; `mil-bench leaderboard` adds them to the boards" if localised.rows else ""
    console.print(
        f"{counted(len(localised.rows) - localised.stored, 'run')} scored, "
        f"{localised.stored} scored before, "
        f"{len(localised.unknown)} on data without known patches, "
        f"{len(localised.refused)} refused{boards}",
        highlight=False,
        soft_wrap=True,
    )
    for key, why in localised.refused.items():
        print_note(f"{key}: {why}", console)
    return 1 if localised.refused or (args.run and localised.unknown) else 0


def _declare_data(parser: Parser) -> None:
    group = parser.add_argument_group("data of a run without a stored plan")
    add(group, "--dataset", "--data-root", "--features", "--tree", "--cache-dir", "--plugin")
