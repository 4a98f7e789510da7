"""What a person sees while slides are extracted, and at the end."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mil_bench.base.plural import counted
from mil_bench.extraction.encoders.encoder import Encoder
from mil_bench.extraction.outcome import Outcome, SlideOutcome, counts
from mil_bench.extraction.settings import Settings

STYLE = {"done": "green", "skipped": "dim", "incomplete": "yellow", "failed": "red"}


class Telling(AbstractContextManager["Telling"]):
    """A line per slide, and on a terminal a bar: slides, tiles per second, time left."""

    def __init__(self, console: Console, slides: int) -> None:
        self._console, self._slides = console, slides
        self._ended = self._tiles = 0
        self._start = time.perf_counter()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[slides]}"),
            TextColumn("{task.fields[rate]:,.0f} tiles/s"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("slides", total=slides, slides=f"0/{slides}", rate=0.0)
        self._shown = self._bar if console.is_terminal else nullcontext()

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shown.__exit__(kind, error, trace)

    def tiles(self, number: int, of: int) -> None:
        """``number`` more tiles are encoded, of the ``of`` that their slide has."""
        self._tiles += number
        rate = self._tiles / (time.perf_counter() - self._start)
        self._bar.update(self._task, advance=number / of, rate=rate)

    def slide(self, outcome: SlideOutcome) -> None:
        """A slide has ended."""
        self._ended += 1
        shown = f"{self._ended}/{self._slides}"
        self._bar.update(self._task, completed=self._ended, slides=shown)
        style = STYLE[outcome.status]
        number = escape(f"[{shown:>{2 * len(str(self._slides)) + 1}}]")
        text = f"{number} [{style}]{outcome.status:<10}[/] {escape(outcome.name)} · "
        _say(text + escape(_sentence(outcome)), self._console)


def announce(settings: Settings, encoder: Encoder, workers: int, console: Console) -> None:
    """Say what is extracted with what, before the first slide."""
    _say(
        f"{escape(encoder.name)} ({encoder.card.dim}-d, {escape(encoder.weights)}) on "
        f"{encoder.device}, precision {encoder.precision}; tiles of {settings.tile} px at "
        f"{settings.mpp:g} um per pixel, tissue {settings.tissue}; "
        f"{counted(workers, 'process', 'processes')} to read slides",
        console,
    )


def summarise(outcome: Outcome, console: Console) -> None:
    """Counts, rate, the list of what is missing, and where everything is."""
    tiles = sum(s.tiles for s in outcome.slides if s.seconds)
    rate = f", {tiles / outcome.seconds:,.0f} tiles/s" if tiles else ""
    place = f"features and summary.md are in {outcome.folder}"
    _say(escape(f"{counts(outcome)}{rate}; {place}"), console)
    for slide in outcome.slides:
        if not slide.good:
            style = STYLE[slide.status]
            _say(
                f"[{style}]{slide.status}[/] {escape(slide.name)}: {escape(slide.reason)}", console
            )


def _sentence(outcome: SlideOutcome) -> str:
    if outcome.status == "failed":
        return outcome.reason
    text = counted(outcome.tiles, "tile")
    if outcome.blank:
        text += f", {outcome.blank} blank left out"
    if outcome.bad:
        text += f", {outcome.bad} could not be read"
    return f"{text} · {outcome.seconds:.1f} s" if outcome.seconds else text


def _say(text: str, console: Console) -> None:
    """One line, as long as it is: logs are searched by line."""
    console.print(text, highlight=False, soft_wrap=True)
