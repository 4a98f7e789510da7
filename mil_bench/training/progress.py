"""What a person sees while a model trains: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping

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

from mil_bench.contract.spec import RunSpec

LINE_SECONDS = 10.0  # at most one plain line in this time


class Reporter:
    """Hears about the progress of a run and says nothing: the form for worker processes."""

    def begin(self, spec: RunSpec, done: int) -> None:
        """A run starts (or continues after ``done`` epochs)."""

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        """An epoch is over; ``row`` is its line of ``train.csv``."""

    def end(self) -> None:
        """Training is over or has failed."""


class BarReporter(Reporter):
    """A progress bar over epochs with bags per second and time left; ``titles`` are by key."""

    def __init__(self, console: Console, titles: Mapping[str, str]) -> None:
        self._console, self._titles = console, titles
        self._bar: Progress | None = None

    def begin(self, spec: RunSpec, done: int) -> None:
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
        self._task = self._bar.add_task(
            escape(self._titles[spec.key]), total=spec.trainer.epochs, completed=done, note=""
        )
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
    """Plain lines, for logs and pipes; ``titles`` are by key."""

    def __init__(self, console: Console, titles: Mapping[str, str]) -> None:
        self._console, self._titles = console, titles
        self._title, self._epochs, self._last = "", 0, 0.0

    def begin(self, spec: RunSpec, done: int) -> None:
        """Remember what is running."""
        self._title, self._epochs = self._titles[spec.key], spec.trainer.epochs
        self._last = time.monotonic()
        if done:
            self._say(f"{self._title}: continues after epoch {done}")

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        """Print a line unless the last one is recent."""
        if time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            self._say(f"{self._title}: epoch {number}/{self._epochs} {describe(row)}")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)


def reporter_for(console: Console, titles: Mapping[str, str]) -> Reporter:
    """A bar on a terminal, lines elsewhere; ``titles`` name runs by their key."""
    return (BarReporter if console.is_terminal else LineReporter)(console, titles)


def describe(row: Mapping[str, float]) -> str:
    """``loss 0.412, val 0.633, 87 bags/s``."""
    return (
        f"loss {row['loss']:.3f}, val log loss {row['val_log_loss']:.3f}, "
        f"{row['bags_per_second']:.0f} bags/s"
    )
