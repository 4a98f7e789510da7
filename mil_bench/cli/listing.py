"""``mil-bench list``, ``show`` and ``new``: the names that there are, one of them, another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.cli.options import add
from mil_bench.cli.parser import Command, Parser, dispatch

if TYPE_CHECKING:
    from mil_bench.base.registry import Registry
    from mil_bench.contract.card import MethodCard

KINDS = ("methods", "datasets", "encoders")
COMMANDS = {
    "method": Command("Write a plug-in file with a method to change.", f"{__name__}:method"),
}
"""What ``mil-bench new`` makes."""


def list_names(parser: Parser, words: Sequence[str]) -> int:
    """Print the registered names with their summaries; nothing heavy is imported."""
    add(parser, "kind", default="")
    add(parser, "--plugin")
    args = parser.parse(words)
    if args.kind and args.kind not in KINDS:
        raise UnknownNameError("kind of thing to list", args.kind, KINDS)
    from rich.console import Console
    from rich.table import Table

    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    console = Console()
    for kind, registry in _registries().items():
        if args.kind in ("", kind):
            table = Table("name", "what it is", "from", title=kind, title_justify="left")
            for entry in registry:
                table.add_row(entry.name, entry.summary, entry.origin)
            console.print(table)
    return 0


def show(parser: Parser, words: Sequence[str]) -> int:
    """Print the card of one method, dataset or encoder."""
    add(parser, "name", "--plugin", "--page", "--boards")
    args = parser.parse(words)
    from mil_bench.base.registry import load_plugins

    load_plugins(args.plugin)
    registries = _registries()
    kind = next((kind for kind, registry in registries.items() if args.name in registry), "")
    if not kind:
        known = [name for registry in registries.values() for name in registry.names()]
        raise UnknownNameError("method, dataset or encoder", args.name, known)
    if args.page is not None and kind != "methods":
        raise UsageError(f"{args.name!r} is not a method; only methods have a --page.")
    from rich.console import Console

    from mil_bench.cards import terminal

    console, shown = Console(), registries[kind].get(args.name)
    if kind == "datasets":
        terminal.print_dataset(shown.card, console)
    elif kind == "encoders":
        terminal.print_encoder(shown, console)
    else:
        from mil_bench.contract.card import MethodCard

        card = MethodCard.of(args.name, shown, registries[kind].summary(args.name))
        terminal.print_method(card, console)
        if args.page is not None:
            _write_page(card, args.page, args.boards)
    return 0


def _registries() -> dict[str, Registry[Any]]:
    from mil_bench.datasets import DATASETS
    from mil_bench.extraction.encoders import ENCODERS
    from mil_bench.methods import METHODS

    return dict(zip(KINDS, (METHODS, DATASETS, ENCODERS), strict=True))


def _write_page(card: MethodCard, folder: Path, boards: Path) -> None:
    from mil_bench.cards.page import write_page

    written = write_page(card, folder, boards)
    print(f"written: {', '.join(map(str, written))}")
    if not card.paper.steps:
        print("no figure: the paper card has no steps (docs/add-a-method.md)")


def new(parser: Parser, words: Sequence[str]) -> int:
    """Run one of :data:`COMMANDS`."""
    parser.usage = f"{parser.prog} COMMAND ..."
    return dispatch(parser, COMMANDS, words)


def method(parser: Parser, words: Sequence[str]) -> int:
    """Write the file of a new method and print the next commands."""
    add(parser, "method", "--from", "--out")
    args = parser.parse(words)
    from mil_bench.cards.scaffold import checked_name, method_text

    # The name of a Python module.
    file: Path = args.out or Path(f"{checked_name(args.method).replace('-', '_')}.py")
    if file.exists():
        raise UsageError(f"{file} exists already; choose another name, or another file by --out.")
    file.write_text(method_text(args.method, args.base), encoding="utf-8")
    other = args.base or "mean"
    print(
        f"{file} is written and works unchanged. Next:\n"
        f"  mil-bench check method {args.method} --plugin {file}\n"
        f"  mil-bench run --plugin {file} --method {args.method},{other} --dataset digit-bags\n"
        f"  mil-bench leaderboard --plugin {file}\n"
        f"  mil-bench show {args.method} --plugin {file} --page pages"
    )
    return 0
