"""Console output: single lines, and progress as a bar on a terminal or plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 10.0


def print_line(text: str, console: Console) -> None:
    """Print one line of rich markup without wrapping, because logs are searched by line."""
    console.print(text, highlight=False, soft_wrap=True)


def print_note(sentence: str, console: Console) -> None:
    """Print a plain sentence on something that may surprise the reader."""
    print_line(f"[yellow]note[/] {escape(sentence)}", console)


def print_on_stderr(text: str) -> None:
    """Print one plain line on standard error, which leaves the output of a command clean."""
    print_line(escape(text), Console(stderr=True))


class ProgressDisplay(AbstractContextManager["ProgressDisplay"]):
    """Progress through ``total`` items: a bar on a terminal, else a line every ten seconds.

    ``unit`` names one item in the plain lines (``title: epoch 3/50 note``). Leave it empty for work
    whose items print a line each: where there is no terminal nothing more is printed then. ``done``
    items were complete before. Without a ``console`` it uses standard error.
    """

    def __init__(
        self,
        title: str,
        total: int,
        console: Console | None = None,
        *,
        unit: str = "",
        done: int = 0,
    ) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done: float = done
        self._note = ""
        self._console = console or Console(stderr=True)
        self._last_line = time.monotonic()  # no line right after the start
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Show the bar; ``with`` does it too."""
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task(
                escape(self._title), total=self._total, completed=int(self._done), note=""
            )
            self._bar.start()

    def stop(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count ``amount`` items more, which may be a part of one."""
        self.update(self._done + amount, note)

    def update(self, done: float, note: str = "") -> None:
        """Show that ``done`` items are complete; an empty ``note`` leaves the last one."""
        self._done, self._note = done, note or self._note
        if self._bar is not None:
            # rich ignores it between refreshes.
            self._bar.update(self._bar.task_ids[0], completed=done, note=escape(self._note))
        elif self._unit and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            line = f"{self._title}: {self._unit} {int(done)}/{self._total} {self._note}"
            print_line(escape(line.rstrip()), self._console)
