"""What a person sees while a model trains: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_SECONDS = 10.0  # at most one plain line in this time


class Reporter:
    """Hears about the progress of a run and says nothing: the form for worker processes."""

    def begin(self, title: str, epochs: int, done: int) -> None:
        """A run starts (or continues after ``done`` epochs)."""

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        """An epoch is over; ``row`` is its line of ``train.csv``."""

    def end(self) -> None:
        """Training is over or has failed."""


class BarReporter(Reporter):
    """A progress bar over epochs with bags per second and time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None

    def begin(self, title: str, epochs: int, done: int) -> None:
        """Show the bar."""
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
        self._task = self._bar.add_task(title, total=epochs, completed=done, note="")
        self._bar.start()

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=number, note=describe(row))

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class LineReporter(Reporter):
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._title, self._epochs, self._last = "", 0, 0.0

    def begin(self, title: str, epochs: int, done: int) -> None:
        """Remember what is running."""
        self._title, self._epochs, self._last = title, epochs, time.monotonic()
        if done:
            self._console.print(
                f"{title}: continues after epoch {done}", highlight=False, soft_wrap=True
            )

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        """Print a line unless the last one is recent."""
        if time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            text = f"{self._title}: epoch {number}/{self._epochs} {describe(row)}"
            self._console.print(text, highlight=False, soft_wrap=True)


def reporter_for(console: Console) -> Reporter:
    """A bar on a terminal, lines elsewhere."""
    return BarReporter(console) if console.is_terminal else LineReporter(console)


def describe(row: Mapping[str, float]) -> str:
    """``loss 0.412, val 0.633, 87 bags/s``."""
    return (
        f"loss {row['loss']:.3f}, val log loss {row['val_log_loss']:.3f}, "
        f"{row['bags_per_second']:.0f} bags/s"
    )
