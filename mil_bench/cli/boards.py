"""``mil-bench leaderboard`` and ``mil-bench score``: numbers from stored predictions."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from collections.abc import Sequence
from pathlib import Path

from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Parser, names


def leaderboard(parser: Parser, words: Sequence[str]) -> int:
    """Make the boards of a folder of runs."""
    add_shared(parser, "runs")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("leaderboards"),
        help="Folder of the CSV files and figures.",
    )
    parser.add_argument(
        "--figures",
        action=BooleanOptionalAction,
        default=None,
        help="Draw all figures, or none (default: the overview).",
    )
    parser.add_argument(
        "--html",
        action=BooleanOptionalAction,
        default=True,
        help="Write leaderboard.html: all boards as one page that needs no network.",
    )
    parser.add_argument(
        "--tree",
        metavar="FILE",
        type=Path,
        help="Score the runs under this tree (.toml, .json) over the same leaves; no training.",
    )
    add_shared(parser, "common")
    parser.add_argument(
        "--by",
        metavar="COLUMN",
        help="Add scores of subgroups, by a column of the dataset's label table (provider).",
    )
    add_shared(parser, "dataset", help="Where --by finds own data: its .toml file.")
    add_shared(parser, "data_root", "plugin")
    parser.add_argument(
        "--show",
        metavar="TABLES",
        help="Tables to print, comma separated, or all (default: overall and hierarchical).",
    )
    given = parser.parse(words)
    from mil_bench.base.plugins import load_plugins

    load_plugins(given.plugin)
    from rich.console import Console
    from rich.text import Text

    from mil_bench.boards.formats.folder import check_writable, write_reports
    from mil_bench.boards.formats.terminal import READ, check_tables, show
    from mil_bench.boards.frames import read_boards, reports_of

    console = Console()
    shown = names("--show", given.show) if given.show else READ
    check_tables(shown)
    boards, left_out = read_boards(given.runs, given.tree, given.common)
    check_writable(given.out)
    reports = reports_of(boards, given.by, given.dataset, given.data_root)
    show(reports, console, shown)
    written = write_reports(reports, given.out, given.figures is not False)
    refused: list[str] = []
    if given.figures is not False:
        from mil_bench.boards.figures.write import write_all, write_overviews

        written += write_overviews(reports, given.out)
        if given.figures:
            drawn, refused = write_all(reports, given.out)
            written += drawn
    if given.html:
        from mil_bench.boards.page.build import write_page

        written.append(write_page(reports, given.out))
    for told in filter(None, (left_out, *refused)):
        console.print(Text(told, style="yellow"))
    console.print(f"{len(written)} files written under {given.out}")
    return 0


def score(parser: Parser, words: Sequence[str]) -> int:
    """Score one file of predictions."""
    parser.add_argument("predictions", type=Path, help="CSV of slide ids and probabilities.")
    add_shared(parser, "dataset", help="Take tree and labels from here.")
    add_shared(parser, "tree", "data_root", "plugin")
    given = parser.parse(words)
    if given.dataset is None and given.tree is None:
        raise UsageError("score needs --dataset NAME or --tree FILE to know the classes.")
    if given.dataset is not None:
        from mil_bench.base.plugins import load_plugins
        from mil_bench.cli.requests import check_dataset

        load_plugins(given.plugin)
        check_dataset(given.dataset)
    from rich.console import Console

    from mil_bench.boards.score import score_file

    score_file(given.predictions, given.dataset, given.tree, given.data_root, Console())
    return 0


# ``mil-bench compare``: two methods beside each other.


def compare(parser: Parser, words: Sequence[str]) -> int:
    """Print the differences of two methods and the slides on which they disagree."""
    parser.add_argument("first", help="A method, or a row such as 'abmil (tuned)'.")
    parser.add_argument("second", help="The other one.")
    parser.add_argument(
        "--dataset", "-d", metavar="NAME", help="Only boards of this dataset (default: all)."
    )
    add_shared(parser, "runs")
    parser.add_argument("--out", metavar="DIR", type=Path, help="Write the tables as files, too.")
    add_shared(parser, "common")
    given = parser.parse(words)
    from rich.console import Console

    from mil_bench.boards.compare import comparisons, shortened
    from mil_bench.boards.formats.folder import check_writable, write_reports
    from mil_bench.boards.formats.terminal import EVERYTHING, show
    from mil_bench.boards.frames import read_boards

    console = Console()
    boards, _ = read_boards(given.runs)
    if given.out is not None:
        check_writable(given.out)
    names = (given.first, given.second)
    reports = comparisons(boards, *names, given.dataset, shared=given.common)
    show([shortened(report) for report in reports], console, [EVERYTHING])
    if given.out is not None:
        written = write_reports(reports, given.out)
        console.print(f"{len(written)} files written under {given.out}")
    return 0


# ``mil-bench curves``: how runs were trained.


def curves(parser: Parser, words: Sequence[str]) -> int:
    """Draw the training curves of runs, finished or not."""
    parser.add_argument("keys", metavar="KEY", nargs="+", help="Key of a run, or how it begins.")
    add_shared(parser, "runs")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("figures"),
        help="Folder of curves-KEY.png and .svg.",
    )
    given = parser.parse(words)
    folders = [folder for key in given.keys for folder in _find(given.runs, key)]

    from mil_bench.boards.collect import read_record
    from mil_bench.boards.figures.training import draw
    from mil_bench.pictures.style import save_both

    for folder in folders:
        for path in save_both(draw(read_record(folder)), given.out / f"curves-{folder.name}"):
            print(path)
    return 0


def _find(runs: Path, key: str) -> list[Path]:
    """Folders of the runs whose keys begin so."""
    folders = sorted(path for path in runs.glob("[!.]*/*/*") if path.is_dir())
    found = [path for path in folders if path.name.startswith(key)]
    if not found:
        hint = f"`mil-bench status --all --runs {runs}` lists runs."
        raise UnknownNameError("run", key, [path.name for path in folders], hint)
    return found
