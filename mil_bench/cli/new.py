"""``mil-bench new``: begin something of your own with a file that works at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mil_bench.cli.parser import Command, Parser, dispatch
from mil_bench.errors import UsageError

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
    from mil_bench.scaffold import checked_name, method_text

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
