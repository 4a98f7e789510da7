"""Screen output during and after an extraction."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape

from mil_bench.base.console import ProgressDisplay, print_line
from mil_bench.base.plural import counted
from mil_bench.extraction.encoders.encoder import Encoder
from mil_bench.extraction.outcome import ExtractionOutcome, SlideOutcome, counts
from mil_bench.extraction.settings import ExtractionSettings

STYLE = {"done": "green", "skipped": "dim", "incomplete": "yellow", "failed": "red"}


class SlideProgress(ProgressDisplay):
    """A line per slide, and on a terminal a bar with tiles per second and the time left."""

    def __init__(self, console: Console, slides: int) -> None:
        super().__init__("slides", slides, console)
        self._console, self._slides = console, slides
        self._ended = self._tiles = 0
        self._start = time.perf_counter()

    def tiles(self, number: int, of: int) -> None:
        """Count ``number`` more encoded tiles, of the ``of`` that their slide has."""
        self._tiles += number
        rate = self._tiles / (time.perf_counter() - self._start)
        self.advance(number / of, note=f"{rate:,.0f} tiles/s")

    def slide(self, outcome: SlideOutcome) -> None:
        """Print the line of a slide that has ended."""
        self._ended += 1
        self.update(self._ended)
        shown = f"{self._ended}/{self._slides}"
        style = STYLE[outcome.status]
        number = escape(f"[{shown:>{2 * len(str(self._slides)) + 1}}]")
        text = f"{number} [{style}]{outcome.status:<10}[/] {escape(outcome.name)} · "
        print_line(text + escape(_sentence(outcome)), self._console)


def announce(
    settings: ExtractionSettings, encoder: Encoder, workers: int, console: Console
) -> None:
    """Print encoder, device, tiles and workers before the first slide."""
    print_line(
        f"{escape(encoder.name)} ({encoder.card.dim}-d, {escape(encoder.weights)}) on "
        f"{encoder.device}, precision {encoder.precision}; tiles of {settings.tile} px at "
        f"{settings.mpp:g} um per pixel, tissue {settings.tissue}; "
        f"{counted(workers, 'process', 'processes')} to read slides",
        console,
    )


def summarise(outcome: ExtractionOutcome, console: Console) -> None:
    """Print counts, rate, every slide that is not complete, and the folder of the results."""
    tiles = sum(s.tiles for s in outcome.slides if s.seconds)
    rate = f", {tiles / outcome.seconds:,.0f} tiles/s" if tiles else ""
    place = f"features and summary.md are in {outcome.folder}"
    print_line(escape(f"{counts(outcome)}{rate}; {place}"), console)
    for slide in outcome.slides:
        if not slide.good:
            style = STYLE[slide.status]
            print_line(
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
