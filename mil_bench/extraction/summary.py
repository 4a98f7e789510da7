"""``summary.md`` and ``slides.csv`` beside the features: what was extracted, how, and what not."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, fields
from datetime import UTC, datetime
from statistics import median

from mil_bench import __version__
from mil_bench.atomic import write_text
from mil_bench.evaluation.csv_safety import escape
from mil_bench.extraction.encoders.card import EncoderCard
from mil_bench.extraction.encoders.encoder import RANDOM_TAG
from mil_bench.extraction.outcome import Outcome, SlideOutcome, counts
from mil_bench.extraction.settings import Settings
from mil_bench.words import counted

SUMMARY, TABLE = "summary.md", "slides.csv"


def write_summary(outcome: Outcome, settings: Settings, card: EncoderCard) -> None:
    """Write both files into the folder of the features."""
    write_text(outcome.folder / SUMMARY, _markdown(outcome, settings, card))
    write_text(outcome.folder / TABLE, _csv(outcome))


def _markdown(outcome: Outcome, settings: Settings, card: EncoderCard) -> str:
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


def _tiles(outcome: Outcome) -> str:
    sizes = [slide.tiles for slide in outcome.slides if slide.tiles]
    if not sizes:
        return "No tiles."
    total = counted(sum(sizes), "tile")
    if len(sizes) == 1:
        return f"{total}."
    return f"{total}; a slide has {min(sizes)} to {max(sizes)}, median {median(sizes):.0f}."


def _settings(settings: Settings, card: EncoderCard) -> list[tuple[str, str]]:
    random = settings.encoder.endswith(RANDOM_TAG)
    return [
        ("encoder", f"{settings.encoder} ({card.title}), {card.dim} features"),
        ("weights", settings.weights),
        ("licence of the weights", "none, they are random" if random else card.licence),
        ("tiles", f"{settings.tile} px at {settings.mpp:g} um per pixel, no overlap"),
        ("seen by the encoder", f"{card.input_size} px"),
        ("tissue", f"{settings.tissue}, at least {settings.min_tissue:g} of a tile"),
        ("precision", settings.precision),
    ]


def _csv(outcome: Outcome) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(field.name for field in fields(SlideOutcome))
    for slide in sorted(outcome.slides, key=lambda s: s.name):
        cells = (escape(v) if isinstance(v, str) else v for v in astuple(slide))
        table.writerow(f"{v:.2f}" if isinstance(v, float) else v for v in cells)
    return text.getvalue()
