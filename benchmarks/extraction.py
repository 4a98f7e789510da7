"""Tiles per second of extraction and of its stages, beside a plain loop over tiles.

python -m benchmarks.extraction --slides some.svs
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import openslide
import torch
from PIL import Image
from rich.console import Console

from benchmarks.command import run
from benchmarks.results import ResultRow, keep, results_path
from benchmarks.table import Table
from mil_bench.contract.spec import Precision
from mil_bench.extraction.encoders.encoder import Encoder, default_batch, load_encoder
from mil_bench.extraction.encoders.weights import WeightsChoice
from mil_bench.extraction.extract import ExtractionRequest, extract
from mil_bench.extraction.plan import SlidePlan, plan_slide
from mil_bench.extraction.reading import BlockJob, TileReader
from mil_bench.extraction.settings import ExtractionSettings, SlideSource, find_slides
from mil_bench.runs.machine import devices

KEY: Final = ("stage", "slide", "copies", "encoder", "tiles", "mpp", "workers", "threads")
PLAIN, OURS, PLAIN_READ = "plain loop: read, resize, encode one by one", "extract", "plain reading"
Stage = Callable[[], int]


def extraction(
    slides: Path | None = None,
    encoder: str = "resnet50",
    mpp: float = 0.5,
    side: int = 6144,
    copies: int = 6,
    rounds: int = 3,
    workers: int = 1,
    threads: int = 2,
    device: str = "auto",
) -> None:
    """Measure, print the table, keep the rows by hardware."""
    torch.set_num_threads(threads)
    (chosen,) = devices(device, 1)
    precision: Precision = "16" if chosen.type == "cuda" else "32"
    network = load_encoder(encoder, WeightsChoice(random=True), chosen, precision)
    card = network.card
    settings = ExtractionSettings(
        network.name, network.weights, precision, mpp, card.tile, "default", 0.25
    )
    with tempfile.TemporaryDirectory() as place:
        path = slides or written(Path(place) / "written.tif", side)
        plan = plan_slide(SlideSource("slide", path), settings)
        many = Path(place) / "slides"
        many.mkdir()
        for number in range(copies):
            (many / f"{number}{path.suffix}").symlink_to(path)
        found, out = find_slides(many), Path(place) / "out"
        request = ExtractionRequest(
            found, out, settings, workers=workers, batch=default_batch(chosen)
        )
        times = race(stages(plan, request, network), rounds)
    facts = {
        "slide": slides.name if slides else f"written {side}",
        "copies": copies,
        "encoder": encoder,
        "tiles": len(plan.coords),
        "mpp": mpp,
        "workers": workers,
        "threads": threads,
    }
    rows = [{"stage": name, **facts, "rates": rates} for name, rates in times.items()]
    keep(results_path("extraction", chosen), rows, KEY, chosen)
    print_extraction(rows)


def stages(plan: SlidePlan, request: ExtractionRequest, encoder: Encoder) -> Mapping[str, Stage]:
    """Each returns the number of tiles it has dealt with."""
    path, pixels = plan.source.path, encoder.card.scaled
    pictures = torch.zeros(request.batch, pixels, pixels, 3, dtype=torch.uint8)
    numbered = iter(range(10**6))

    def read() -> int:
        reader = TileReader()
        jobs = (BlockJob(path, plan.tiling, block, pixels) for block in plan.blocks)
        return sum(len(reader[job][1]) for job in jobs)

    def whole() -> int:
        out = request.out / str(next(numbered))
        outcome = extract(replace(request, out=out), encoder, Console(file=io.StringIO()))
        return sum(one.tiles for one in outcome.slides)

    def encode() -> int:
        encoder(pictures).cpu()
        return len(pictures)

    return {
        "tissue and grid": lambda: len(plan_slide(plan.source, request.settings).coords),
        PLAIN_READ: lambda: sum(1 for _ in plain_tiles(plan, pixels)),
        "reading in blocks": read,
        "encoder alone": encode,
        PLAIN: lambda: plain_loop(plan, encoder),
        OURS: whole,
    }


def plain_tiles(plan: SlidePlan, pixels: int) -> Sequence[Image.Image] | map:  # type: ignore[type-arg]
    """Return every tile by itself from level 0, as a first version would read it."""
    handle = openslide.OpenSlide(plan.source.path)
    step = plan.tiling.step

    def one(corner: Sequence[int]) -> Image.Image:
        region = handle.read_region((int(corner[0]), int(corner[1])), 0, (step, step))
        return region.convert("RGB").resize((pixels, pixels), Image.Resampling.BILINEAR)

    return map(one, plan.coords.tolist())


def plain_loop(plan: SlidePlan, encoder: Encoder) -> int:
    """Read a tile, encode it, keep its feature; then the next."""
    features = []
    for tile in plain_tiles(plan, encoder.card.scaled):
        features.append(encoder(torch.from_numpy(np.array(tile))[None]).cpu())
    return len(torch.cat(features))


def race(stages: Mapping[str, Stage], rounds: int) -> dict[str, list[float]]:
    """Return tiles per second of every stage in interleaved rounds, after one that does not
    count.
    """
    rates: dict[str, list[float]] = {name: [] for name in stages}
    for number in range(rounds + 1):
        for name, stage in stages.items():
            start = time.perf_counter()
            tiles = stage()
            seconds = time.perf_counter() - start
            if number > 0:
                rates[name].append(tiles / seconds)
    return rates


def written(path: Path, side: int) -> Path:
    """Return a pyramidal TIFF with zlib tiles, half of it tissue, 0.25 um per pixel."""
    import tifffile

    rng = np.random.default_rng(0)
    image = np.full((side, side, 3), 243, np.uint8)
    texture = rng.normal((205, 120, 175), 25, (side // 4, side // 8, 3)).clip(0, 255)
    image[:, : side // 2] = np.kron(texture, np.ones((4, 4, 1))).astype(np.uint8)
    with tifffile.TiffWriter(path) as file:
        for level in range(3):
            resolution = (1e4 / (0.25 * 2**level),) * 2
            small = np.asarray(Image.fromarray(image).reduce(2**level))
            file.write(
                small,
                tile=(256, 256),
                photometric="rgb",
                compression="zlib",
                subfiletype=int(level > 0),
                resolution=resolution,
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def print_extraction(rows: Sequence[ResultRow]) -> None:
    """Print rates for every slide, and ratios within rounds to the plain way of doing the same."""
    groups: dict[tuple[object, ...], list[ResultRow]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in KEY[1:]), []).append(row)
    for group in groups.values():
        print(_table(group))


def _table(rows: Sequence[ResultRow]) -> Table:
    by_stage = {row["stage"]: row["rates"] for row in rows}
    lines = []
    for row in rows:
        reads = row["stage"] in (PLAIN_READ, "reading in blocks")
        against = by_stage[PLAIN_READ] if reads else by_stage[PLAIN]
        ratio = median(a / b for a, b in zip(row["rates"], against, strict=True))
        rates = row["rates"]
        cells = (f"{median(rates):,.0f}", f"{min(rates):,.0f}", f"{max(rates):,.0f}")
        lines.append((row["stage"], *cells, f"{ratio:.2f}"))
    facts = rows[0]
    title = (
        f"{facts['tiles']} tiles of {facts['slide']} at {facts['mpp']:g} um/px, "
        f"{facts['copies']} slides, {facts['encoder']}, {facts['workers']} reading, "
        f"{facts['threads']} threads"
    )
    heads = ("stage", "tiles/s", "min", "max", "x plain")
    notes = (
        "x plain: median over rounds of the ratio to plain reading (for reading) or the plain loop",
    )
    return Table(title, heads, lines, notes)


if __name__ == "__main__":
    run(extraction)
