"""The outcome of every slide: rows, ``summary.md``, ``slides.csv`` and lines on the screen."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Literal

from rich.console import Console
from rich.markup import escape

from mil_bench.base.atomic import write_text
from mil_bench.base.console import ProgressDisplay, print_line
from mil_bench.base.csv_safety import escape as csv_cell
from mil_bench.base.errors import counted
from mil_bench.base.version import __version__
from mil_bench.extraction.encoders.cards import EncoderCard
from mil_bench.extraction.encoders.encoder import Encoder, weights_are_random
from mil_bench.extraction.settings import ExtractionSettings, SlideSource
from mil_bench.extraction.slide_files import FeatureFileRecord, SlideFeatures

SlideStatus = Literal["done", "skipped", "incomplete", "failed"]


@dataclass(frozen=True)
class SlideOutcome:
    """One row of the summary. ``skipped`` was done before; ``incomplete`` has unreadable tiles."""

    name: str
    path: str
    status: SlideStatus
    tiles: int = 0
    blank: int = 0
    bad: int = 0
    seconds: float = 0.0
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing is missing."""
        return self.status in ("done", "skipped")


@dataclass(frozen=True)
class ExtractionOutcome:
    """All slides, in the order in which they ended, and the folder of their features."""

    slides: tuple[SlideOutcome, ...]
    folder: Path
    seconds: float

    def count(self, status: SlideStatus) -> int:
        """Return the number of slides with ``status``."""
        return sum(slide.status == status for slide in self.slides)

    @property
    def ok(self) -> bool:
        """Whether every requested slide is extracted completely."""
        return all(slide.good for slide in self.slides)


def counts(outcome: ExtractionOutcome) -> str:
    """Return how many slides ended how."""
    return (
        f"{outcome.count('done')} extracted, {outcome.count('skipped')} done before, "
        f"{outcome.count('incomplete')} incomplete, {outcome.count('failed')} failed"
    )


def outcome_of(extracted: SlideFeatures, seconds: float) -> SlideOutcome:
    """Return the row of a slide whose file has just been written."""
    source, bad = extracted.plan.source, len(extracted.bad)
    return SlideOutcome(
        source.name,
        str(source.path),
        "incomplete" if bad else "done",
        len(extracted.features),
        extracted.blank,
        bad,
        seconds,
        _unreadable(bad),
    )


def done_before(source: SlideSource, record: FeatureFileRecord) -> SlideOutcome:
    """Return the row of a slide that an earlier extraction has finished."""
    status: SlideStatus = "incomplete" if record.bad else "skipped"
    counts = (record.tiles, record.blank, record.bad)
    row = (source.name, str(source.path), status, *counts)
    return SlideOutcome(*row, reason=_unreadable(record.bad))


def failed(source: SlideSource, reason: str) -> SlideOutcome:
    """Return the row of a slide without features."""
    return SlideOutcome(source.name, str(source.path), "failed", reason=reason)


def duplicated(name: str, reason: str) -> SlideOutcome:
    """Return the row of several files with one name; ``reason`` has their paths."""
    return SlideOutcome(name, "", "failed", reason=reason)


def _unreadable(bad: int) -> str:
    return f"{counted(bad, 'tile')} could not be read; copy the slide again." if bad else ""


# ``summary.md`` and ``slides.csv`` beside the features: what was extracted, how, and what not.

SUMMARY, TABLE = "summary.md", "slides.csv"


def write_summary(
    outcome: ExtractionOutcome, settings: ExtractionSettings, card: EncoderCard
) -> None:
    """Write both files into the folder of the features."""
    write_text(outcome.folder / SUMMARY, _markdown(outcome, settings, card))
    write_text(outcome.folder / TABLE, _csv(outcome))


def _markdown(outcome: ExtractionOutcome, settings: ExtractionSettings, card: EncoderCard) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = [
        f"# {settings.encoder}: {counted(len(outcome.slides), 'slide')}",
        "",
        f"{counts(outcome)}. {_tiles(outcome)}",
        "",
        "| setting | value |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in _settings(settings, card)),
        "",
        f"Written by mil-bench {__version__} on {now}. Every slide: [{TABLE}]({TABLE}).",
    ]
    wrong = [slide for slide in outcome.slides if not slide.good]
    if wrong:
        lines += ["", "## Not complete", "", *(f"- **{s.name}**: {s.reason}" for s in wrong)]
    return "\n".join(lines) + "\n"


def _tiles(outcome: ExtractionOutcome) -> str:
    sizes = [slide.tiles for slide in outcome.slides if slide.tiles]
    if not sizes:
        return "No tiles."
    total = counted(sum(sizes), "tile")
    if len(sizes) == 1:
        return f"{total}."
    return f"{total}; a slide has {min(sizes)} to {max(sizes)}, median {median(sizes):.0f}."


def _settings(settings: ExtractionSettings, card: EncoderCard) -> list[tuple[str, str]]:
    random = weights_are_random(settings.encoder)
    return [
        ("encoder", f"{settings.encoder} ({card.title}), {card.dim} features"),
        ("weights", settings.weights),
        ("licence of the weights", "none (random weights)" if random else card.licence),
        ("tiles", f"{settings.tile} px at {settings.mpp:g} um per pixel, no overlap"),
        ("seen by the encoder", f"{card.input_size} px"),
        ("tissue", f"{settings.tissue}, at least {settings.min_tissue:g} of a tile"),
        ("precision", settings.precision),
    ]


def _csv(outcome: ExtractionOutcome) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(field.name for field in fields(SlideOutcome))
    # By name: reruns of any order give the same file.
    for slide in sorted(outcome.slides, key=lambda s: s.name):
        cells = (csv_cell(v) if isinstance(v, str) else v for v in astuple(slide))
        table.writerow(f"{v:.2f}" if isinstance(v, float) else v for v in cells)
    return text.getvalue()


# Screen output during and after an extraction.

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
        # A share of the slide, so that the bar moves within it.
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
    tiles = sum(s.tiles for s in outcome.slides if s.seconds)  # of this command only
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
