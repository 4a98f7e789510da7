"""``mil-bench list`` (instant, nothing heavy imported) and ``mil-bench show`` (one thing)."""

from __future__ import annotations

from typing import Annotated

import typer

from mil_bench.cli import options as opt
from mil_bench.errors import UnknownNameError

KINDS = ("methods", "datasets")


def list_names(
    kind: Annotated[str, typer.Argument(help="methods or datasets; both if left out.")] = "",
    plugin: opt.Plugin = None,
) -> None:
    """List methods and datasets."""
    from rich.console import Console
    from rich.table import Table

    from mil_bench.datasets import DATASETS
    from mil_bench.methods import METHODS
    from mil_bench.plugins import load_plugins

    if kind and kind not in KINDS:
        raise UnknownNameError("kind of thing to list", kind, KINDS)
    load_plugins(plugin or [])
    console = Console()
    for name, registry in (("methods", METHODS), ("datasets", DATASETS)):
        if kind in ("", name):
            table = Table("name", "what it is", "from", title=name, title_justify="left")
            for entry in registry:
                table.add_row(entry.name, entry.summary, entry.origin)
            console.print(table)


def show(
    name: Annotated[str, typer.Argument(help="A method or a dataset.")],
    plugin: opt.Plugin = None,
) -> None:
    """Show a method's paper, options and ablations, or a dataset's source, trees and files."""
    from rich.console import Console

    from mil_bench.cli.cards import print_dataset, print_method
    from mil_bench.datasets import DATASETS
    from mil_bench.methods import METHODS
    from mil_bench.plugins import load_plugins

    load_plugins(plugin or [])
    if name in METHODS:
        print_method(name, METHODS.get(name), Console())
    elif name in DATASETS:
        print_dataset(DATASETS.get(name).card, Console())
    else:
        raise UnknownNameError("method or dataset", name, [*METHODS.names(), *DATASETS.names()])
