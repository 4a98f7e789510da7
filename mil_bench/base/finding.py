"""Findings of checks, with advice where something is wrong, and notes on data and results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mil_bench.base.errors import counted

FindingState = Literal["ok", "note", "problem"]
STYLES: dict[FindingState, str] = {"ok": "green", "note": "yellow", "problem": "bold red"}


@dataclass(frozen=True)
class Finding:
    """What was examined and seen. A ``problem`` stops runs, a ``note`` may surprise.

    Both come with ``advice``. ``cause`` is the error behind a problem, for whatever depends on it.
    """

    subject: str
    fact: str
    state: FindingState = "ok"
    advice: str = ""
    cause: BaseException | None = field(default=None, compare=False, repr=False)


def problems(findings: Iterable[Finding]) -> int:
    """Count the problems among ``findings``."""
    return sum(finding.state == "problem" for finding in findings)


def render(findings: Iterable[Finding], console: Console) -> None:
    """Print a line per finding, its advice below it."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(
            finding.subject, Text(finding.state, STYLES[finding.state]), Text(finding.fact)
        )
        if finding.advice:
            table.add_row("", "", Text(f"-> {finding.advice}", style="italic"))
    console.print(table)


def render_verdict(count: int, console: Console, sound: str = "ready to run") -> None:
    """Print the last line: ``sound``, or the number of problems."""
    console.print(f"[red]{counted(count, 'problem')} to fix[/]" if count else f"[green]{sound}[/]")


# Remarks on data and results, each with the kind of fact that it states.

NoteKind = Literal[
    "leak",  # patients (groups) are in two sets of a fold
    "data",  # what the data are: simulated, incomplete, with doubtful labels
    "patients",  # unknown patients, few patients, few slides
    "split",  # how folds were made
    "training",  # folds, seeds and settings of the trainings
    "comparison",  # rows that cannot be compared, or are not above chance
    "hierarchy",  # heads, controls and trees
    "tuning",  # searches
    "coverage",  # runs that are missing
    "reading",  # how a file was read
]


@dataclass(frozen=True)
class Note:
    """One sentence and the kind of fact behind it, on which programs decide."""

    kind: NoteKind
    text: str

    def __str__(self) -> str:
        return self.text
