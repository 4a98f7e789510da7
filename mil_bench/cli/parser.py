"""Reading the words of a command with the standard library alone, so that help is there at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

from mil_bench.base.errors import UnknownNameError, UsageError

UNSAID: tuple[object, ...] = (None, False, "", [], argparse.SUPPRESS)  # defaults without a mention


class Help(argparse.HelpFormatter):
    """The help of the standard library; a default is shown where it says something."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        says = action.default not in UNSAID and "default" not in text
        return f"{text} (default: %(default)s)" if says else text


class Parser(argparse.ArgumentParser):
    """The words of one command. Whatever is wrong with them is a ``UsageError``."""

    def __init__(self, prog: str, summary: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=summary,
            usage=usage,
            formatter_class=Help,
            allow_abbrev=False,
        )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The values of all options; a name that is no option is refused before anything else."""
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                hint = f"`{self.prog} --help` shows all."
                raise UnknownNameError("option", name, self._option_string_actions, hint)
        return self.parse_args(words)

    def error(self, message: str) -> NoReturn:
        """Called by the standard library."""
        raise UsageError(f"{message}; see `{self.prog} --help`.")


@dataclass(frozen=True)
class Command:
    """What help says about a command, and the ``module:function`` that is imported to obey it.

    The function gets a :class:`Parser` without options and the words after the command's name, and
    returns an exit code.
    """

    summary: str
    target: str


def dispatch(parser: Parser, commands: Mapping[str, Command], words: Sequence[str]) -> int:
    """Hand the words after a command's name to that command; help, and exit code 2, without."""
    listing = parser.add_argument_group("commands")
    for name, command in commands.items():
        listing.add_argument(name, help=command.summary)
    if not words:
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    if words[0] in ("-h", "--help"):
        parser.print_help()
        return 0
    name, *rest = words
    if name not in commands:
        options = parser._option_string_actions
        kind, known = ("option", [*options]) if name.startswith("-") else ("command", [*commands])
        raise UnknownNameError(kind, name, known, f"`{parser.prog} --help` shows all.")
    module, _, function = commands[name].target.partition(":")
    obey: Callable[[Parser, Sequence[str]], int] = getattr(import_module(module), function)
    return obey(Parser(f"{parser.prog} {name}", commands[name].summary), rest)


def at_least(low: int) -> Callable[[str], int]:
    """The type of an option that is a whole number from ``low``."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low}")
        return int(text)

    return number


# Small grammars of the command line: lists of names and numbers, ``KEY=VALUE`` pairs.


def names(option: str, text: str) -> list[str]:
    """``"a,b"`` -> ``["a", "b"]``, each once, in order."""
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found:
        raise UsageError(f"{option} {text!r} names nothing; expected names such as abmil,hmil.")
    return found


def numbers(option: str, text: str) -> list[int]:
    """``"0,2"`` -> ``[0, 2]``; every number must be a non-negative integer."""
    parts = names(option, text)
    bad = [part for part in parts if not part.isdecimal()]
    if bad:
        raise UsageError(f"{option} has {bad[0]!r}; expected whole numbers such as 0,1,2.")
    return [int(part) for part in parts]


def settings(pairs: Sequence[str], option: str = "--set") -> dict[str, str]:
    """``["lr=1e-4"]`` -> ``{"lr": "1e-4"}``."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise UsageError(f"{option} {pair!r} is not KEY=VALUE, such as lr=1e-4 or time=60.")
        if key in found:
            raise UsageError(f"{option} names {key!r} twice; give it once.")
        found[key] = value
    return found
