"""Extract small slides with a tiny network of random weights, in this process."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from mil_bench.extraction.encoders.encoder import Encoder, load_encoder
from mil_bench.extraction.encoders.weights import WeightsChoice
from mil_bench.extraction.extract import ExtractionRequest, extract
from mil_bench.extraction.outcome import ExtractionOutcome, SlideOutcome
from mil_bench.extraction.settings import ExtractionSettings, find_slides

SETTINGS = ExtractionSettings(
    encoder="test_vit-random",
    weights="random, seed 0",
    precision="32",
    mpp=0.5,
    tile=64,
    tissue="default",
    min_tissue=0.25,
)


@cache
def tiny_encoder() -> Encoder:
    """timm's ``test_vit``: 64 features, 160 pixels."""
    return load_encoder("test_vit", WeightsChoice(random=True), torch.device("cpu"), "32")


def run_extraction(
    slides: Path, out: Path, encoder: Encoder | None = None, **changes: Any
) -> ExtractionOutcome:
    """Extract; ``changes`` are fields of the request or of its settings."""
    outcome, _ = told_extraction(slides, out, encoder, **changes)
    return outcome


def told_extraction(
    slides: Path,
    out: Path,
    encoder: Encoder | None = None,
    mpp_override: float | None = None,
    **changes: Any,
) -> tuple[ExtractionOutcome, str]:
    """The outcome and what was printed on the way."""
    of_settings = {
        k: changes.pop(k) for k in list(changes) if k in ExtractionSettings.__dataclass_fields__
    }
    settings = replace(SETTINGS, **of_settings)
    found = find_slides(slides, mpp_override, without=out)
    request = ExtractionRequest(found, out, settings, **{"workers": 0, **changes})
    console = Console(file=io.StringIO(), width=500)
    outcome = extract(request, encoder or tiny_encoder(), console)
    return outcome, console.file.getvalue()  # type: ignore[attr-defined]


def by_name(outcome: ExtractionOutcome) -> dict[str, SlideOutcome]:
    """Slide name -> what became of it."""
    return {slide.name: slide for slide in outcome.slides}
