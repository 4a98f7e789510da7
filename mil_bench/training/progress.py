"""Progress of one run while its model trains."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape

from mil_bench.base.console import ProgressDisplay, print_line
from mil_bench.contract.spec import RunSpec


class Reporter:
    """Receives the progress of a run and prints nothing: the form for worker processes."""

    def begin(self, spec: RunSpec, done: int) -> None:
        """Note that a run starts, or resumes after ``done`` epochs."""

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        """Note that an epoch is complete; ``row`` is its line of ``train.csv``."""

    def end(self) -> None:
        """Note that training is complete or has failed."""


class ConsoleReporter(Reporter):
    """Shows epochs, losses and bags per second; ``titles`` names runs by their key."""

    def __init__(self, console: Console, titles: Mapping[str, str]) -> None:
        self._console, self._titles = console, titles
        self._display: ProgressDisplay | None = None

    def begin(self, spec: RunSpec, done: int) -> None:
        """Show the bar of the run."""
        title = self._titles[spec.key]
        if done and not self._console.is_terminal:  # a bar shows it
            print_line(escape(f"{title}: resumes after epoch {done}"), self._console)
        self._display = ProgressDisplay(
            title, spec.trainer.epochs, self._console, unit="epoch", done=done
        )
        self._display.start()

    def epoch(self, number: int, row: Mapping[str, float]) -> None:
        """Move the bar, or print a line where the last one is ten seconds old."""
        if self._display is not None:
            self._display.update(number, describe(row))

    def end(self) -> None:
        """Remove the bar."""
        if self._display is not None:
            self._display.stop()
            self._display = None


def describe(row: Mapping[str, float]) -> str:
    """Return ``loss 0.412, val log loss 0.633, 87 bags/s``."""
    return (
        f"loss {row['loss']:.3f}, val log loss {row['val_log_loss']:.3f}, "
        f"{row['bags_per_second']:.0f} bags/s"
    )
