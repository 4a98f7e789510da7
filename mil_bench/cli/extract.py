"""``mil-bench extract``: slides to feature files."""

from __future__ import annotations

import argparse
import math
import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mil_bench.cli.parser import Parser, at_least

if TYPE_CHECKING:
    from mil_bench.extraction.encoders.encoder import Encoder
    from mil_bench.extraction.settings import Settings

TISSUE = ("default", "biopsy", "resection", "tcga", "smear", "none")
MOST_WORKERS = 16


def extract(parser: Parser, words: Sequence[str]) -> int:
    """Exit code 0 only if every slide is extracted completely."""
    _declare_data(parser)
    _declare_encoder(parser)
    _declare_tiles(parser)
    _declare_machine(parser)
    given = parser.parse(words)
    from mil_bench.extraction.sources import find_slides

    slides = find_slides(given.slides, given.mpp_override, without=given.out)
    from rich.console import Console

    from mil_bench.extraction import extract as extraction
    from mil_bench.extraction.encoders.encoder import default_batch
    from mil_bench.extraction.progress import announce, summarise

    encoder = _encoder(given)
    settings = _settings(given, encoder)
    request = extraction.Request(
        slides,
        given.out,
        settings,
        _workers(given.workers, encoder.device.type),
        given.batch or default_batch(encoder.device),
        given.overwrite,
    )
    console = Console()
    announce(settings, encoder, request.workers, console)
    outcome = extraction.extract(request, encoder, console)
    summarise(outcome, console)
    return 0 if outcome.ok else 1


def _declare_data(parser: Parser) -> None:
    group = parser.add_argument_group("slides")
    group.add_argument(
        "--slides",
        metavar="PATH",
        type=Path,
        required=True,
        help="A folder, one slide, or a table with a column slide (paths) and, where needed, mpp.",
    )
    group.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="Folder of the features."
    )
    group.add_argument(
        "--mpp-override",
        metavar="UM",
        type=_positive,
        help="Um per pixel of slides to which the table gives none, whatever they say themselves.",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="Replace features made with other options."
    )


def _declare_encoder(parser: Parser) -> None:
    group = parser.add_argument_group("encoder")
    group.add_argument(
        "--encoder",
        metavar="NAME",
        default="resnet50",
        help="A name of `list encoders`, or any model of timm.",
    )
    weights = group.add_mutually_exclusive_group()
    weights.add_argument(
        "--checkpoint", metavar="FILE", type=Path, help="Its weights: .safetensors, .pth, .bin."
    )
    weights.add_argument(
        "--download", action="store_true", help="Fetch its weights from the Hugging Face hub."
    )
    weights.add_argument(
        "--random-weights",
        action="store_true",
        help="For trials: features are marked random for good.",
    )


def _declare_tiles(parser: Parser) -> None:
    group = parser.add_argument_group("tiles")
    group.add_argument(
        "--mpp", metavar="UM", type=_positive, help="Um per pixel (default: the encoder's)."
    )
    group.add_argument(
        "--tile", metavar="PX", type=at_least(16), help="Pixels per side (default: the encoder's)."
    )
    group.add_argument(
        "--tissue", choices=TISSUE, default="default", help="How tissue is told from glass."
    )
    group.add_argument(
        "--min-tissue",
        metavar="SHARE",
        type=_share,
        help="Tissue that a tile needs, 0 to 1 (default: as --tissue says).",
    )


def _declare_machine(parser: Parser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--workers",
        metavar="N",
        type=at_least(0),
        help="Processes that read slides (default: by the number of cores).",
    )
    group.add_argument(
        "--batch",
        metavar="N",
        type=at_least(1),
        help="Tiles encoded at once (default: 64 on a GPU, 8 on a CPU).",
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
    group.add_argument(
        "--precision",
        choices=("auto", "32", "bf16", "16"),
        default="auto",
        help="Arithmetic of the encoder; auto is 16 on a GPU and 32 on a CPU.",
    )


def _encoder(given: Namespace) -> Encoder:
    from mil_bench.extraction.encoders.encoder import load_encoder
    from mil_bench.extraction.encoders.weights import WeightsChoice
    from mil_bench.nn.precision import resolve_precision
    from mil_bench.runs.machine import devices

    (device,) = devices(given.device, 1)
    on_gpu = given.precision == "auto" and device.type == "cuda"
    precision = "16" if on_gpu else resolve_precision(given.precision, device, False)
    choice = WeightsChoice(given.checkpoint, given.download, given.random_weights)
    return load_encoder(given.encoder, choice, device, precision)


def _settings(given: Namespace, encoder: Encoder) -> Settings:
    from mil_bench.extraction.settings import Settings, min_share

    least = min_share(given.tissue) if given.min_tissue is None else given.min_tissue
    return Settings(
        encoder.name,
        encoder.weights,
        encoder.precision,
        given.mpp or encoder.card.mpp,
        given.tile or encoder.card.tile,
        given.tissue,
        least,
    )


def _workers(given: int | None, device: str) -> int:
    """On a CPU reading is the smaller part, and cores are left to the encoder."""
    if given is not None:
        return given
    cores = os.cpu_count() or 1
    return min(MOST_WORKERS, max(1, cores - 1 if device == "cuda" else cores // 2))


def _positive(text: str) -> float:
    return _number(text, math.inf, "a number above 0, such as 0.5")


def _share(text: str) -> float:
    return 0.0 if text == "0" else _number(text, 1.0, "a share from 0 to 1, such as 0.25")


def _number(text: str, most: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value <= most and value < math.inf):
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return value
