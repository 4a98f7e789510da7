"""``mil-bench import``: predictions made elsewhere as runs on boards."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.base.errors import counted
from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import data_request, with_plugins


def import_runs(parser: Parser, words: Sequence[str]) -> int:
    """Check files of one model against a split and store them as external runs."""
    add(parser, "row", "predictions")
    add(parser, "--dataset", required=True)
    add(parser, "--split", "--runs", "--encoder", "--data-root", "--tree", "--logits")
    add(parser, "--overwrite", "--allow-leaks", "--drop-leaky-patients", "--plugin")
    args = with_plugins(parser.parse(words))
    from rich.console import Console

    from mil_bench.exchange.tables.imported import ImportRequest, import_predictions
    from mil_bench.exchange.tables.imported_screen import show_imported

    imported = import_predictions(
        ImportRequest(
            args.row, args.predictions, data_request(args), args.runs, args.logits, args.overwrite
        )
    )
    console = Console()
    show_imported(imported, console)
    new = sum(run.new for run in imported.runs)
    there = f" ({len(imported.runs) - new} were there)" if new < len(imported.runs) else ""
    console.print(f"{counted(new, 'external run')} written under {args.runs}{there}")
    return 0
