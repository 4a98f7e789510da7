"""``mil-bench list`` (instant, nothing heavy imported) and ``mil-bench show`` (one thing)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Command, Parser, dispatch

if TYPE_CHECKING:
    from mil_bench.contract.method import Method


KINDS = ("methods", "datasets", "encoders")


def list_names(parser: Parser, words: Sequence[str]) -> int:
    """Print the registered names with their summaries."""
    parser.add_argument(
        "kind", nargs="?", default="", help="methods, datasets or encoders; all if left out."
    )
    add_shared(parser, "plugin")
    given = parser.parse(words)
    if given.kind and given.kind not in KINDS:
        raise UnknownNameError("kind of thing to list", given.kind, KINDS)
    from rich.console import Console
    from rich.table import Table

    from mil_bench.base.plugins import load_plugins
    from mil_bench.base.registry import Registry
    from mil_bench.datasets import DATASETS
    from mil_bench.extraction.encoders import ENCODERS
    from mil_bench.methods import METHODS

    load_plugins(given.plugin)
    console = Console()
    registries: dict[str, Registry[Any]] = dict(
        zip(KINDS, (METHODS, DATASETS, ENCODERS), strict=True)
    )
    for name, registry in registries.items():
        if given.kind in ("", name):
            table = Table("name", "what it is", "from", title=name, title_justify="left")
            for entry in registry:
                table.add_row(entry.name, entry.summary, entry.origin)
            console.print(table)
    return 0


def show(parser: Parser, words: Sequence[str]) -> int:
    """Print the card of one method, dataset or encoder."""
    parser.add_argument("name", help="A method, a dataset or an encoder.")
    add_shared(parser, "plugin")
    parser.add_argument(
        "--page",
        metavar="DIR",
        type=Path,
        help="Also write the method's page there, as Markdown, with a figure of its steps.",
    )
    parser.add_argument(
        "--boards",
        metavar="DIR",
        type=Path,
        default=Path("leaderboards"),
        help="Boards whose rows the page shows: the --out of `leaderboard`.",
    )
    given = parser.parse(words)
    from mil_bench.base.plugins import load_plugins
    from mil_bench.datasets import DATASETS
    from mil_bench.extraction.encoders import ENCODERS
    from mil_bench.methods import METHODS

    load_plugins(given.plugin)
    if not any(given.name in registry for registry in (METHODS, DATASETS, ENCODERS)):
        known = [*METHODS.names(), *DATASETS.names(), *ENCODERS.names()]
        raise UnknownNameError("method, dataset or encoder", given.name, known)
    if given.page is not None and given.name not in METHODS:
        raise UsageError(f"{given.name!r} is no method; only methods have a --page.")
    from rich.console import Console

    from mil_bench.cards.terminal import print_dataset, print_encoder, print_method

    if given.name in METHODS:
        method = METHODS.get(given.name)
        print_method(given.name, method, Console())
        if given.page is not None:
            _write_page(given.name, method, given.page, given.boards)
    elif given.name in DATASETS:
        print_dataset(DATASETS.get(given.name).card, Console())
    else:
        print_encoder(ENCODERS.get(given.name), Console())
    return 0


def _write_page(name: str, method: type[Method], out: Path, boards: Path) -> None:
    from mil_bench.cards.write import write_page

    written = write_page(name, method, out, boards)
    print(f"written: {', '.join(map(str, written))}")
    if not method.paper.steps:
        print("no figure: the paper card has no steps (docs/add-a-method.md)")


# ``mil-bench new``: begin something of your own with a file that works at once.

COMMANDS = {
    "method": Command("Write a plug-in file with a method to change.", f"{__name__}:method"),
}


def new(parser: Parser, words: Sequence[str]) -> int:
    """One of :data:`COMMANDS`."""
    parser.usage = f"{parser.prog} COMMAND ..."
    return dispatch(parser, COMMANDS, words)


def method(parser: Parser, words: Sequence[str]) -> int:
    """Write the file and print what to do with it."""
    parser.add_argument("name", metavar="NAME", help="What the method is to be called.")
    parser.add_argument(
        "--from",
        dest="base",
        metavar="METHOD",
        help="A method to derive from (default: a small one to rewrite).",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="The file (default: the name, ending in .py)."
    )
    given = parser.parse(words)
    from mil_bench.cards.scaffold import checked_name, method_text

    file: Path = given.out or Path(f"{checked_name(given.name).replace('-', '_')}.py")
    if file.exists():
        raise UsageError(f"{file} exists already; choose another name, or another file by --out.")
    file.write_text(method_text(given.name, given.base), encoding="utf-8")
    beside = given.base or "mean"
    print(
        f"{file} is written; it works as it stands. Next:\n"
        f"  mil-bench check method {given.name} --plugin {file}\n"
        f"  mil-bench run --plugin {file} --method {given.name},{beside} --dataset digit-bags\n"
        f"  mil-bench leaderboard --plugin {file}\n"
        f"  mil-bench show {given.name} --plugin {file} --page pages"
    )
    return 0
