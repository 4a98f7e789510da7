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

    from mil_bench.errors import MilBenchError, RunError
    from mil_bench.heatmaps.find import DataOfRuns, find_run
    from mil_bench.heatmaps.make import Wanted, write_heatmaps
    from mil_bench.plugins import load_plugins
    from mil_bench.runs.devices import devices
    from mil_bench.runs.restore import restore

    load_plugins(given.plugin)
    directory = find_run(given.runs, given.run)
    data = DataOfRuns(given.runs, given.dataset, dataset_options(given))
    [device] = devices(given.device, 1)
    run = restore(directory, data.of(directory.read_spec()), device)
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
