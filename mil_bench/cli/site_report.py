"""``mil-bench submit report``: what a private cohort may say of the methods run on it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.base.errors import UnknownNameError, UsageError, counted
from mil_bench.base.registry import load_plugins
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser, names

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mil_bench.boards.board import Board
    from mil_bench.exchange.site_report import SiteReport

KEY_FILE = ".site-key"


def report(parser: Parser, words: Sequence[str]) -> int:
    """Make a site report, show it in full, and write it when that is confirmed."""
    add(parser, "--dataset", "--out", required=True)
    add(
        parser,
        "--runs",
        "--method",
        "--encoder",
        "--split",
        "--tree",
        "--id-key",
        "--suppress-rare",
    )
    add(parser, "--yes", "--plugin")
    args = parser.parse(words)
    load_plugins(args.plugin)
    if args.out.suffix not in (".json", ".zip"):
        raise UsageError(f"--out {args.out} ends in {args.out.suffix!r}; expected .json or .zip.")
    if not args.yes and not sys.stdin.isatty():  # a script cannot confirm
        raise UsageError(
            "a site report is shown and confirmed before it is written; run this in a terminal, "
            "or pass --yes after reading docs/site-reports.md."
        )
    from rich.console import Console

    from mil_bench.boards.site_reports import site_report_of
    from mil_bench.exchange.bundles.private import read_key
    from mil_bench.exchange.site_report import write_site_report

    board = _board(args)
    # The same key: reports of a site can be joined.
    key = read_key(args.id_key or args.runs / KEY_FILE)
    made = site_report_of(board, key, suppress_rare=args.suppress_rare)
    console = Console()
    show(made, console, in_full=not args.yes)
    if not args.yes and not _confirmed(args.out):
        console.print("nothing is written")
        return 1
    write_site_report(made, args.out)
    size = args.out.stat().st_size / 1e6
    console.print(f"{args.out} is written ({size:.1f} MB); `leaderboard --runs` reads it.")
    return 0


def _board(args: Namespace) -> Board:
    """The one board of the runs that the options choose, with the requested methods."""
    from dataclasses import replace

    from mil_bench.boards.frames import read_boards

    boards = [b for b in read_boards(args.runs)[0] if b.site is None and b.taxonomy is not None]
    name = _name(args.dataset)
    mine = [b for b in boards if b.id.dataset == name]
    if not mine:
        known = sorted({b.id.dataset for b in boards})
        raise UnknownNameError("dataset", name, known, of="these runs")
    for option in ("encoder", "split", "tree"):
        wanted = getattr(args, option)
        mine = [b for b in mine if wanted in (None, getattr(b.id, option))]  # None: not requested
    if len(mine) != 1:
        titles = "; ".join(b.title for b in mine) or "no board of these options"
        raise UsageError(
            f"the report is of one board, but these match: {titles}. Choose with "
            "--encoder, --split or --tree, or with a folder of fewer runs."
        )
    (board,) = mine
    if args.method is None:
        return board
    chosen = names("--method", args.method)
    for method in chosen:
        if method not in {row.method for row in board.rows}:
            raise UnknownNameError("method", method, {row.method for row in board.rows})
    rows = tuple(row for row in board.rows if row.method in chosen)
    return replace(board, rows=rows, twins=())  # twins are of other boards


def _name(dataset: str) -> str:
    if not dataset.endswith(".toml"):
        return dataset
    from mil_bench.datasets.own import OwnData

    return OwnData(Path(dataset)).config.name


def show(made: SiteReport, console: Console, *, in_full: bool) -> None:
    """Print what a report says: cohort, counts, scores. ``in_full`` adds every other value."""
    from rich.text import Text

    console.print(Text(f"Site report of {made.dataset}, {made.encoder}, {made.split}"))
    patients = "patients" if made.patients_known else "slides, each counted as a patient"
    console.print(Text(f"{made.slides} slides of {made.patients} {patients}", style="dim"))
    counts = _table("Class", "Slides", "Patients")
    for c in made.classes:
        counts.add_row(Text(c.name), _count(c.slides), _count(c.patients))
    console.print(counts)
    main = [i for i, s in enumerate(made.score_list) if s.is_leaf and not s.name][:4]
    heads = [made.score_list[i].facts.title for i in main]
    table = _table("Row, mean of runs", "Runs", *heads)
    for row in made.rows:
        label = " ".join(filter(None, [row.method, row.role, row.variant]))
        values = [[c.values[i] for c in row.cells] for i in main]
        table.add_row(Text(label), str(len(row.cells)), *map(_mean, values))
    console.print(table)
    if in_full:
        console.print(Text("Everything else that the file holds, without replicates:"))
        for line in _lines(made):
            console.print(Text(line), soft_wrap=True)
    every = counted(len(made.scores), "score")
    console.print(
        f"The file holds {every} of every run and {made.replicates:,} bootstrap replicates of "
        "each. It holds no slide ids, patient ids, labels, probabilities or features."
    )


def _table(name: str, *numbers: str) -> Table:
    """An empty table of names on the left and numbers on the right."""
    from rich import box
    from rich.table import Table

    table = Table(name, box=box.SIMPLE_HEAD)
    for number in numbers:
        table.add_column(number, justify="right")
    return table


def _lines(made: SiteReport) -> list[str]:
    """The content as JSON, a line per entry of its lists, with replicates cut out."""
    # Rows follow, without their replicates.
    content = made.model_dump(mode="json", exclude={"rows"})
    lines = [f"{name}: {json.dumps(value)}" for name, value in content.items()]
    for row in made.rows:
        facts = row.model_dump(mode="json", exclude={"cells", "draws"})
        lines.append(f"row: {json.dumps(facts)}")
        lines += [f"  seed {c.seed} fold {c.fold}: {json.dumps(list(c.values))}" for c in row.cells]
    return lines


def _count(number: int | None) -> str:
    return "suppressed" if number is None else str(number)


def _mean(values: Sequence[float | None]) -> str:
    defined = [v for v in values if v is not None]
    return f"{100 * sum(defined) / len(defined):.1f}" if defined else "–"


def _confirmed(out: Path) -> bool:
    return input(f"Write {out}? [y/N] ").strip().lower() in ("y", "yes")
