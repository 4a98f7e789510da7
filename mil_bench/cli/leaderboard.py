"""``mil-bench leaderboard`` and ``mil-bench score``: numbers from stored predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mil_bench.cli import options as opt
from mil_bench.errors import UsageError


def leaderboard(
    runs: opt.Runs = Path("runs"),
    out: Annotated[Path, typer.Option(help="Folder of the CSV files and figures.")] = Path(
        "leaderboards"
    ),
    figures: Annotated[bool, typer.Option(help="Also draw a figure per board.")] = True,
) -> None:
    """Score every run again from its predictions; write and print the boards."""
    from rich.console import Console

    from mil_bench.leaderboard import build_boards, collect, show, write_boards, write_figures

    console = Console()
    boards = build_boards(collect(runs))
    written = write_boards(boards, out, figures)
    if figures:
        written += write_figures(boards, out)
    show(boards, console)
    console.print(f"{len(written)} files written under {out}")


def score(
    predictions: Annotated[Path, typer.Argument(help="CSV of slide ids and probabilities.")],
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Take tree and labels from here.")
    ] = None,
    tree: opt.Tree = None,
    data_root: opt.DataRoot = None,
    plugin: opt.Plugin = None,
) -> None:
    """Score predictions made anywhere by the code that makes the leaderboards."""
    if dataset is None and tree is None:
        raise UsageError("score needs --dataset NAME or --tree FILE to know the classes.")
    if dataset is not None:
        from mil_bench.cli.plugins import check_dataset
        from mil_bench.plugins import load_plugins

        load_plugins(plugin or [])
        check_dataset(dataset)
    from rich.console import Console

    from mil_bench.leaderboard.score import score_file

    score_file(predictions, dataset, tree, data_root, Console())
