"""Reading the words of a command with the standard library alone, so that help is immediate."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final, NoReturn

from mil_bench.base.errors import UnknownNameError, UsageError

UNSAID: tuple[object, ...] = (None, "", [], argparse.SUPPRESS)  # defaults without a mention
_DEFAULT = re.compile(r" \(default: [^)]*\)")


@dataclass(frozen=True)
class Command:
    """What help says about a command, and the ``module:function`` that is imported to run it.

    The function gets a :class:`Parser` without options and the words after the command's name, and
    returns an exit code. A command with ``successor`` is an old spelling that help does not list.
    """

    summary: str
    target: str
    successor: str = ""


def dispatch(parser: Parser, commands: Mapping[str, Command], words: Sequence[str]) -> int:
    """Hand the words after a command's name to that command; help, and exit code 2, without."""
    listing = parser.add_argument_group("commands")
    listed = {name: command for name, command in commands.items() if not command.successor}
    for name, command in listed.items():
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
        kind, known = ("option", [*options]) if name.startswith("-") else ("command", [*listed])
        # A word with dashes is an option that is unknown.
        raise UnknownNameError(kind, name, known, f"`{parser.prog} --help` shows all.")
    command = commands[name]
    if command.successor:
        _note(OldSpelling(command.successor).sentence(f"{parser.prog} {name}"))
    module, _, function = command.target.partition(":")
    execute: Callable[[Parser, Sequence[str]], int] = getattr(import_module(module), function)
    return execute(Parser(f"{parser.prog} {name}", command.summary), rest)


class Help(argparse.HelpFormatter):
    """The help of the standard library; a default is shown where it says something."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if action.required and action.option_strings:
            return _DEFAULT.sub("", text)  # a required option has no default
        switched = isinstance(action.default, bool)
        says = not switched and action.default not in UNSAID and "(default" not in text
        return f"{text.removesuffix('.')} (default: %(default)s)." if says else text


class Parser(argparse.ArgumentParser):
    """The words of one command. Any problem with them is a ``UsageError``."""

    def __init__(self, prog: str, summary: str, usage: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=summary,
            usage=usage,
            formatter_class=Help,
            allow_abbrev=False,
        )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the values of all options.

        Old spellings are replaced, with a note. A name that is not an option is refused before
        anything else. Raises ``UnknownNameError`` and ``UsageError``.
        """
        old = OLD_SPELLINGS.get(self.prog.partition(" ")[2], {})
        words, notes = replaced(words, old)
        for note in notes:
            _note(note)
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self._option_string_actions:
                hint = f"`{self.prog} --help` shows all."
                raise UnknownNameError("option", name, self._option_string_actions, hint)
        return self.parse_args(words)

    def error(self, message: str) -> NoReturn:
        """Raise ``UsageError``; called by the standard library."""
        raise UsageError(f"{message}; see `{self.prog} --help`.")


@dataclass(frozen=True)
class OldSpelling:
    """What took the place of a spelling: ``words`` are obeyed, ``advice`` is what a user reads."""

    words: str
    advice: str = ""

    def sentence(self, old: str) -> str:
        """Return the note for a user who writes ``old``."""
        return f"`{old}` is now {self.advice or f'`{self.words}`'}; the next version drops it."


_PLACEMENT = {"--cache": OldSpelling("--placement")}
_EXISTING = {
    "--existing skip": OldSpelling("", "the default and needs no option"),
    "--existing overwrite": OldSpelling("--overwrite"),
    "--existing retry-failed": OldSpelling("--retry-failed", "`mil-bench retry --failed`"),
}
OLD_SPELLINGS: Final[Mapping[str, Mapping[str, OldSpelling]]] = {
    "run": {**_PLACEMENT, **_EXISTING},
    "ablate": {**_PLACEMENT, **_EXISTING, "--only": OldSpelling("--variants")},
    "tune": _PLACEMENT,
    "retry": _PLACEMENT,
    "heatmap": {"--by": OldSpelling("--relevance")},
    "localise": {"--by": OldSpelling("--relevance"), "--again": OldSpelling("--overwrite")},
    "extract": {"--checkpoint": OldSpelling("--weights")},
    "data simulate": {"--slides": OldSpelling("--count")},
}
"""Command -> spelling of version 0.1.0 -> what took its place."""


def replaced(words: Sequence[str], old: Mapping[str, OldSpelling]) -> tuple[list[str], list[str]]:
    """Return ``words`` in today's spelling, and a sentence for every old one.

    A key of ``old`` is an option (``--by``), or an option with one of its values
    (``--existing overwrite``), written with a space or with ``=``.
    """
    current: list[str] = []
    notes: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        # An option with its value, in either spelling.
        pair = f"{name} {value}" if equals else " ".join([word, *rest[:1]])
        if pair in old:
            current += old[pair].words.split()
            notes.append(old[pair].sentence(pair))
            del rest[: 0 if equals else 1]  # the value is used up, too
        elif name in old:
            current.append(old[name].words + equals + value)
            notes.append(old[name].sentence(name))
        else:
            current.append(word)
    return current, notes


def _note(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr)


def names(option: str, text: str) -> list[str]:
    """Return ``"a,b"`` -> ``["a", "b"]``, each once, in order."""
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise UsageError(f"{option} {text!r} names nothing; expected names such as abmil,hmil.")
    return parts


def numbers(option: str, text: str) -> list[int]:
    """Return ``"0,2"`` -> ``[0, 2]``; every number must be a non-negative integer."""
    parts = names(option, text)
    bad = [part for part in parts if not part.isdecimal()]  # isdecimal: no sign, no point
    if bad:
        raise UsageError(f"{option} has {bad[0]!r}; expected whole numbers such as 0,1,2.")
    return [int(part) for part in parts]


def settings(pairs: Sequence[str], option: str = "--set") -> dict[str, str]:
    """Return ``["lr=1e-4"]`` -> ``{"lr": "1e-4"}``."""
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise UsageError(f"{option} {pair!r} is not KEY=VALUE, such as lr=1e-4 or time=60.")
        if key in values:
            raise UsageError(f"{option} has {key!r} twice; keep one of them.")
        values[key] = value
    return values


def at_least(low: int) -> Callable[[str], int]:
    """Return the type of an option that is a whole number from ``low``."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low}")
        return int(text)

    return number


def positive(text: str) -> float:
    """Return a number above 0; the type of an option."""
    return _number(text, math.inf, "a number above 0, such as 0.5")


def share(text: str) -> float:
    """Return a number from 0 to 1; the type of an option."""
    return 0.0 if text == "0" else _number(text, 1.0, "a share from 0 to 1, such as 0.25")


def _number(text: str, most: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value <= most and value < math.inf):
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return value
