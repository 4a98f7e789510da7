"""``mil-bench leaderboard``, ``compare``, ``score`` and ``curves``: what finished runs show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mil_bench.base.errors import UnknownNameError, UsageError, counted
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser, names
from mil_bench.cli.requests import with_plugins


def leaderboard(parser: Parser, words: Sequence[str]) -> int:
    """Write and print the boards of a folder of runs."""
    add(parser, "--runs")
    add(parser, "--out", default=Path("leaderboards"))
    add(parser, "--show", "--verbose", "--figures")
    add(parser, "--html", default=True)
    add(parser, "--tree", "--common", "--protocol", "--by", "--dataset", "--data-root", "--plugin")
    args = parser.parse(words)
    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    # Imports inside commands: help and refused words need no torch.
    from rich.console import Console
    from rich.text import Text

    from mil_bench.boards.formats.folder import check_writable, write_reports
    from mil_bench.boards.formats.terminal import READ, check_tables, show
    from mil_bench.boards.frames import read_boards, reports_of

    console = Console()
    tables = names("--show", args.show) if args.show else READ
    check_tables(tables)  # before minutes of reading
    tree = Path(args.tree) if args.tree else None
    boards, left_out = read_boards(
        args.runs, tree, args.common, args.dataset, args.data_root, args.protocol
    )
    check_writable(args.out)  # before figures are drawn
    reports = reports_of(boards, args.by, args.dataset, args.data_root)
    show(reports, console, tables, verbose=args.verbose)
    written = write_reports(reports, args.out, args.figures is not False)
    refused: list[str] = []
    if args.figures is not False:
        from mil_bench.boards.figures.write import write_all, write_overviews

        written += write_overviews(reports, args.out)
        if args.figures:  # None, by default: overviews alone
            drawn, refused = write_all(reports, args.out)
            written += drawn
    if args.html:
        from mil_bench.boards.page.build import write_pages

        written += write_pages(reports, args.out)
    for note in filter(None, (left_out, *refused)):
        console.print(Text(note, style="yellow"))
    console.print(f"{counted(len(written), 'file')} written under {args.out}")
    return 0


def compare(parser: Parser, words: Sequence[str]) -> int:
    """Print the differences of two methods and the slides that they classify differently."""
    add(parser, "first", "second", "--dataset", "--runs", "--out", "--common", "--verbose")
    args = parser.parse(words)
    from rich.console import Console

    from mil_bench.boards.compare import comparisons, shortened
    from mil_bench.boards.formats.folder import check_writable, write_reports
    from mil_bench.boards.formats.terminal import EVERYTHING, show
    from mil_bench.boards.frames import read_boards

    console = Console()
    boards, _ = read_boards(args.runs)
    if args.out is not None:
        check_writable(args.out)
    reports = comparisons(boards, args.first, args.second, args.dataset, shared=args.common)
    short = [shortened(report) for report in reports]
    show(short, console, [EVERYTHING], verbose=args.verbose)
    if args.out is not None:
        written = write_reports(reports, args.out)
        console.print(f"{counted(len(written), 'file')} written under {args.out}")
    return 0


def score(parser: Parser, words: Sequence[str]) -> int:
    """Score files of predictions, and compare the models that made them."""
    add(parser, "predictions", "--dataset", "--tree", "--data-root", "--logits", "--common")
    add(parser, "--out", "--figures", "--verbose", "--plugin")
    args = parser.parse(words)
    if args.dataset is not None:  # without a dataset nothing is registered
        with_plugins(args)
    from rich.console import Console

    from mil_bench.boards.formats.folder import check_writable, write_reports
    from mil_bench.boards.score import ScoreRequest, show_scores

    console = Console()
    if args.out is not None:
        check_writable(args.out)
    runs = [path for path in args.predictions if path.is_dir() or path.suffix == ".zip"]
    if runs and len(args.predictions) > 1:
        raise UsageError(
            f"{runs[0]} holds runs; score it alone, or compare its methods with "
            f"`mil-bench compare A B --runs {runs[0]}`."
        )
    if runs:
        from mil_bench.boards.frames import read_boards, reports_of

        tree = Path(args.tree) if args.tree else None
        boards, _ = read_boards(runs[0], tree, args.common, args.dataset, args.data_root)
        reports = {report.board.title: report for report in reports_of(boards)}
    else:
        reports = ScoreRequest(
            args.predictions, args.dataset, args.tree, args.data_root, args.common, args.logits
        ).reports()
    show_scores(reports, console, verbose=args.verbose)
    if args.out is not None:
        of_sets = list(reports.values())
        written = write_reports(of_sets, args.out, args.figures is not False)
        if args.figures is not False:
            from mil_bench.boards.figures.write import write_all, write_overviews

            written += write_overviews(of_sets, args.out)
            written += write_all(of_sets, args.out)[0]
        console.print(f"{counted(len(written), 'file')} written under {args.out}")
    return 0


def curves(parser: Parser, words: Sequence[str]) -> int:
    """Draw the training curves of runs, finished or not."""
    add(parser, "keys", "--runs")
    add(parser, "--out", default=Path("figures"))
    args = parser.parse(words)
    folders = [folder for key in args.keys for folder in _folders(args.runs, key)]

    from mil_bench.boards.collect import read_record
    from mil_bench.boards.figures.training import draw
    from mil_bench.pictures.style import save_both

    for folder in folders:
        for path in save_both(draw(read_record(folder)), args.out / f"curves-{folder.name}"):
            print(path)
    return 0


def _folders(runs: Path, key: str) -> list[Path]:
    """Return the folders of the runs whose keys begin with ``key``."""
    from mil_bench.exchange.bundles.sources import run_folders

    folders = [run.path for run in run_folders(runs)]
    matching = [path for path in folders if path.name.startswith(key)]
    if not folders:
        from mil_bench.runs.studies.stored_plans import no_runs

        raise no_runs(runs)
    if not matching:
        hint = f"`mil-bench status --all --runs {runs}` lists runs."
        raise UnknownNameError("run", key, [path.name for path in folders], hint)
    return matching
