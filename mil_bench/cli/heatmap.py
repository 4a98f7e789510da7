"""``mil-bench heatmap`` and ``mil-bench localise``: where models looked, as pictures and scores."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.base.errors import MilBenchError, RunError, UsageError, counted, listed
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import dataset_name, dataset_options

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from mil_bench.exchange.models.new_slides import NewSlides
    from mil_bench.heatmaps.make import HeatmapRequest
    from mil_bench.runs.directory import RunDirectory
    from mil_bench.runs.load_run import LoadedRun


def heatmap(parser: Parser, words: Sequence[str]) -> int:
    """Draw the heatmaps of slides; one that cannot be drawn does not stop the others."""
    args = _heatmap_args(parser, words)
    from rich.console import Console

    from mil_bench.base.registry import load_plugins
    from mil_bench.heatmaps.make import HeatmapRequest
    from mil_bench.runs.machine import devices

    load_plugins(args.plugin)
    [device] = devices(args.device, 1)
    models = _Models(args, _directories(args), device)
    console = Console()
    if len(models.directories) == 1:
        directory = models.directories[0]
        title = directory.read_spec().title
        console.print(f"{title}, run {directory.path.name}", highlight=False)
    request = HeatmapRequest(args.level, args.class_name, args.relevance, args.slides)
    return _draw(args.slide, models.of, request, console)


def _heatmap_args(parser: Parser, words: Sequence[str]) -> Namespace:
    parser.usage = f"{parser.prog} (--run KEY | --method NAME) --slide ID [options]"
    add(parser, "--run", "--method")
    add(parser, "--slide", required=True)
    add(parser, "--level", "--class", "--relevance", "--slides", "--runs", "--device")
    _declare_data(parser)
    args = parser.parse(words)
    if len(args.run) + bool(args.method) != 1:
        raise UsageError("heatmap draws one model at a time; pass one --run or one --method.")
    return args


def _directories(args: Namespace) -> list[RunDirectory]:
    from mil_bench.runs.find_run import RunChoice, find_run, find_runs

    if args.run:
        return [find_run(args.runs, args.run[0])]
    trained_on = dataset_name(args.dataset) if args.dataset else None
    return find_runs(args.runs, RunChoice(args.method, trained_on))


class _Models:
    """The runs to choose from; each is loaded with its own data once."""

    def __init__(
        self, args: Namespace, directories: Sequence[RunDirectory], device: torch.device
    ) -> None:
        from mil_bench.runs.find_run import DataOfRuns

        self.directories, self._args, self._device = directories, args, device
        self._data = DataOfRuns(args.runs, args.dataset, dataset_options(args))
        self._loaded: dict[RunDirectory, LoadedRun] = {}

    def of(self, slide: str) -> LoadedRun:
        """Return the run to draw a slide with: on its own data, else on those of --features."""
        from mil_bench.runs.load_run import load_run
        from mil_bench.runs.slide_sets import run_for_slide

        directory, _ = run_for_slide(self.directories, slide)
        try:
            if directory not in self._loaded:
                dataset = self._data.of(directory.read_spec())
                self._loaded[directory] = load_run(directory, dataset, self._device)
            self._loaded[directory].known_id(slide)
        except MilBenchError:  # the error about the run's own data says more
            if self._args.features is None:
                raise
            return self._on_features(directory, slide)
        return self._loaded[directory]

    def _on_features(self, directory: RunDirectory, slide: str) -> LoadedRun:
        from mil_bench.exchange.models.new_slides import open_new_slides

        args = self._args
        new = open_new_slides(args.features, [directory], [slide], cache=args.cache_dir)
        return _on_new(directory, new, self._device)


def _on_new(directory: RunDirectory, new: NewSlides, device: torch.device) -> LoadedRun:
    """Return the model of a run with slides that no label table knows."""
    from mil_bench.runs.load_run import load_trained, with_data

    model = load_trained(directory, device, "32")
    return with_data(model, new.dataset(model.method.taxonomy), device)


def draw_new_slides(
    directories: Sequence[RunDirectory],
    new: NewSlides,
    slides: Sequence[str],
    slide_files: Path | None,
    device: torch.device,
) -> int:
    """Draw slides of a folder of features, each with a model that was not trained on it.

    ``slide_files`` is a folder with the slides themselves, for pictures over them.
    """
    from rich.console import Console

    from mil_bench.heatmaps.make import HeatmapRequest
    from mil_bench.runs.slide_sets import run_for_slide

    loaded: dict[RunDirectory, LoadedRun] = {}

    def of(slide: str) -> LoadedRun:
        directory, _ = run_for_slide(directories, slide)
        if directory not in loaded:
            loaded[directory] = _on_new(directory, new, device)
        return loaded[directory]

    return _draw(slides, of, HeatmapRequest(slides=slide_files), Console())


def _draw(
    slides: Sequence[str],
    run_of: Callable[[str], LoadedRun],
    request: HeatmapRequest,
    console: Console,
) -> int:
    """Draw every slide with its run, then raise what was refused."""
    from rich.markup import escape

    from mil_bench.base.console import print_note
    from mil_bench.heatmaps.make import write_heatmaps

    refused: list[MilBenchError] = []
    drawn: dict[RunDirectory, None] = {}
    noted: dict[str, list[str]] = {}
    for slide in slides:
        try:
            run = run_of(slide)
            written = write_heatmaps(run, slide, request)
        except MilBenchError as error:  # the other slides are drawn first
            refused.append(error)
            continue
        drawn[run.directory] = None
        console.print(
            f"{escape(slide)}: {counted(len(written.pictures), 'picture')} by "
            f"{escape('; '.join(written.sources))}, in {escape(str(written.folder))}",
            highlight=False,
            soft_wrap=True,
        )
        for note in written.notes:
            noted.setdefault(note, []).append(slide)
    for note, of in noted.items():  # once, not per slide
        print_note(note if len(of) == len(slides) else f"{listed(of)}: {note}", console)
    for directory in drawn:  # once per run, not per slide
        page = directory.path / "heatmaps" / "index.html"
        console.print(f"page: {escape(str(page))}", highlight=False, soft_wrap=True)
    if refused:
        raise refused[0] if len(refused) == 1 else RunError(" ".join(map(str, refused)))
    return 0


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
        f"{len(localised.without_model)} without a model, "
        f"{len(localised.refused)} refused{boards}",
        highlight=False,
        soft_wrap=True,
    )
    for key, why in localised.refused.items():
        print_note(f"{key}: {why}", console)
    # Data without known patches, and runs without a model, fail only if requested.
    lacking = localised.unknown or localised.without_model
    return 1 if localised.refused or (args.run and lacking) else 0


def _declare_data(parser: Parser) -> None:
    group = parser.add_argument_group("data of a run without a stored plan")
    add(group, "--dataset", "--data-root", "--features", "--tree", "--cache-dir", "--plugin")
