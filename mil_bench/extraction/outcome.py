"""What became of each slide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mil_bench.extraction.bag_file import Extracted, Record
from mil_bench.extraction.found import Source
from mil_bench.words import counted

Status = Literal["done", "skipped", "incomplete", "failed"]


@dataclass(frozen=True)
class SlideOutcome:
    """One row of the summary. ``skipped`` was done before; ``incomplete`` has unreadable tiles."""

    name: str
    path: str
    status: Status
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
class Outcome:
    """All slides, in the order in which they ended, and the folder of their features."""

    slides: tuple[SlideOutcome, ...]
    folder: Path
    seconds: float

    def count(self, status: Status) -> int:
        """Slides with ``status``."""
        return sum(slide.status == status for slide in self.slides)

    @property
    def ok(self) -> bool:
        """Whether every slide asked for is extracted completely."""
        return all(slide.good for slide in self.slides)


def counts(outcome: Outcome) -> str:
    """How many slides ended how."""
    return (
        f"{outcome.count('done')} extracted, {outcome.count('skipped')} done before, "
        f"{outcome.count('incomplete')} incomplete, {outcome.count('failed')} failed"
    )


def extracted(found: Extracted, seconds: float) -> SlideOutcome:
    """The row of a slide whose file has just been written."""
    source, bad = found.plan.source, len(found.bad)
    return SlideOutcome(
        source.name,
        str(source.path),
        "incomplete" if bad else "done",
        len(found.features),
        found.blank,
        bad,
        seconds,
        _unreadable(bad),
    )


def done_before(source: Source, record: Record) -> SlideOutcome:
    """The row of a slide that an earlier extraction has finished."""
    status: Status = "incomplete" if record.bad else "skipped"
    counts = (record.tiles, record.blank, record.bad)
    row = (source.name, str(source.path), status, *counts)
    return SlideOutcome(*row, reason=_unreadable(record.bad))


def failed(source: Source, reason: str) -> SlideOutcome:
    """The row of a slide without features."""
    return SlideOutcome(source.name, str(source.path), "failed", reason=reason)


def indistinct(name: str, reason: str) -> SlideOutcome:
    """The row of several files with one name; the reason tells their paths."""
    return SlideOutcome(name, "", "failed", reason=reason)


def _unreadable(bad: int) -> str:
    return f"{counted(bad, 'tile')} could not be read; copy the slide again." if bad else ""
