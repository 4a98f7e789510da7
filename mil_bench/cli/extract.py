"""``mil-bench extract``: slides to feature files."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mil_bench.cli.options import add
from mil_bench.cli.parser import Parser

if TYPE_CHECKING:
    from mil_bench.extraction.encoders.encoder import Encoder
    from mil_bench.extraction.settings import ExtractionSettings

MOST_WORKERS = 16


def extract(parser: Parser, words: Sequence[str]) -> int:
    """Extract features of slides; exit code 0 only if every slide is complete."""
    _declare(parser)
    args = parser.parse(words)
    from mil_bench.extraction.settings import find_slides

    slides = find_slides(args.slides, args.mpp_override, without=args.out)
    from rich.console import Console

    from mil_bench.extraction import extract as extraction
    from mil_bench.extraction.encoders.encoder import default_batch
    from mil_bench.extraction.outcome import announce, summarise

    encoder = _encoder(args)
    settings = _settings(args, encoder)
    request = extraction.ExtractionRequest(
        slides,
        args.out,
        settings,
        _workers(args.workers, encoder.device.type),
        args.batch or default_batch(encoder.device),
        args.overwrite,
    )
    console = Console()
    announce(settings, encoder, request.workers, console)
    outcome = extraction.extract(request, encoder, console)
    summarise(outcome, console)
    return 0 if outcome.ok else 1


def _declare(parser: Parser) -> None:
    group = parser.add_argument_group("slides")
    add(group, "--slides", "--out", required=True)
    add(group, "--mpp-override", "--overwrite")
    group = parser.add_argument_group("encoder")
    add(group, "--encoder", default="resnet50")
    add(group.add_mutually_exclusive_group(), "--weights", "--download", "--random-weights")
    group = parser.add_argument_group("tiles")
    add(group, "--mpp", "--tile", "--tissue", "--min-tissue")
    group = parser.add_argument_group("machine")
    add(group, "--workers", "--batch", "--device", "--precision")


def _encoder(args: Namespace) -> Encoder:
    from mil_bench.extraction.encoders.encoder import load_encoder
    from mil_bench.extraction.encoders.weights import WeightsChoice
    from mil_bench.nn.precision import resolve_precision
    from mil_bench.runs.machine import devices

    (device,) = devices(args.device, 1)
    # Features in half precision: they are stored so.
    on_gpu = args.precision == "auto" and device.type == "cuda"
    precision = "16" if on_gpu else resolve_precision(args.precision, device, False)
    choice = WeightsChoice(args.weights, args.download, args.random_weights)
    return load_encoder(args.encoder, choice, device, precision)


def _settings(args: Namespace, encoder: Encoder) -> ExtractionSettings:
    from mil_bench.extraction.settings import ExtractionSettings, min_share

    # Each way of finding tissue has its own least share.
    least = min_share(args.tissue) if args.min_tissue is None else args.min_tissue
    return ExtractionSettings(
        encoder.name,
        encoder.weights,
        encoder.precision,
        args.mpp or encoder.card.mpp,
        args.tile or encoder.card.tile,
        args.tissue,
        least,
    )


def _workers(number: int | None, device: str) -> int:
    """Return ``number``, else leave cores to the encoder on a CPU, where reading is cheaper."""
    if number is not None:
        return number
    cores = os.cpu_count() or 1
    # As many cores for the encoder as for reading.
    return min(MOST_WORKERS, max(1, cores - 1 if device == "cuda" else cores // 2))
