"""``--online blocks``: checks before the first run, and the encoder and slides of one run."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from mil_bench.base.errors import DataError, RunError, UsageError
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.method import Method
from mil_bench.contract.spec import BlockTraining, Precision
from mil_bench.extraction.encoders.encoder import (
    build,
    find_card,
    load_encoder,
    weights_are_random,
    without_tag,
)
from mil_bench.extraction.encoders.weights import WeightsChoice, described
from mil_bench.extraction.outcome import TABLE
from mil_bench.extraction.settings import SlideSource, find_slides
from mil_bench.extraction.slide_files import read_record
from mil_bench.training.online.pixels import FeatureOrigin, SlidePixels
from mil_bench.training.online.wrapped import FineTuned, last_blocks

MIN_COSINE = 0.99  # of equal features in another precision or from another machine
CHECKED_TILES = 4


def check_blocks(online: BlockTraining, dataset: Dataset) -> None:
    """Raise a ``MilBenchError`` unless blocks of this encoder can be trained on this dataset."""
    # The mean and deviation of frozen features do not fit features that change.
    if dataset.standardize:
        raise UsageError(
            f"{dataset.name} is standardised with statistics of its stored features, which "
            "--online blocks changes; remove `standardize` from its file, or use --online adapter."
        )
    origin = pixels_of(dataset).origin
    _weights(dataset, origin)
    card = find_card(without_tag(origin.encoder))
    # Built without weights: only the names of blocks matter here.
    last_blocks(build(card), online.blocks, origin.encoder)


def fine_tuned(
    inner: Method,
    online: BlockTraining,
    dataset: Dataset,
    device: torch.device,
    precision: Precision,
) -> FineTuned:
    """Return ``inner`` behind the encoder of the dataset's features, with its weights."""
    origin = pixels_of(dataset).origin
    choice = _weights(dataset, origin)
    encoder = load_encoder(without_tag(origin.encoder), choice, device, precision)
    return FineTuned(inner, encoder, online.blocks)


def check_slides(method: FineTuned, pixels: SlidePixels, slide_id: str) -> None:
    """Raise ``RunError`` unless the pixels of a slide reproduce its stored features.

    ``method`` must be untrained.
    """
    stored = torch.from_numpy(pixels.store.bag(slide_id)[:CHECKED_TILES].copy()).float()
    side, n = method.encoder.card.scaled, len(stored)
    tiles = pixels.tiles(slide_id, side, torch.arange(n).numpy())
    computed = method.encoded(tiles).float().cpu()
    cosine = F.cosine_similarity(computed, stored).min().item()
    if not cosine > MIN_COSINE:  # not >: NaN is refused too
        raise RunError(
            f"tiles of {pixels.sources[slide_id].path} do not reproduce the stored features of "
            f"{slide_id} (cosine {cosine:.2f}, expected above {MIN_COSINE}); pass the slides "
            "that were extracted with --slides, or extract these."
        )


def _weights(dataset: Dataset, origin: FeatureOrigin) -> WeightsChoice:
    """The weights that computed the features."""
    if weights_are_random(origin.encoder):
        return WeightsChoice(random=True)
    card = find_card(origin.encoder)
    if dataset.weights is None:
        raise UsageError(
            f"--online blocks requires the weights of encoder {origin.encoder}; pass the file of "
            f"the extraction ({card.origin}) with --weights."
        )
    choice = WeightsChoice(checkpoint=dataset.weights)
    weights = described(choice.resolve(card))
    # The file's content decides, not its name: other weights would give other features.
    if weights != origin.weights:
        raise DataError(
            f"{dataset.weights} is not the file that the features were extracted with ({weights}, "
            f"expected {origin.weights}); pass that file with --weights."
        )
    return choice


INSTEAD = "extract them with `mil-bench extract`, or use --online adapter"


def pixels_of(dataset: Dataset) -> SlidePixels:
    """Return the pixels behind the features of ``dataset``, without opening a slide.

    Slides are those of ``dataset.slides``, else those in the table next to the features. Raises
    ``DataError`` when features have no slides, or are not of these slides.
    """
    store = dataset.store
    without_file = [slide for slide in store.rows if slide not in store.files]
    if without_file:
        raise DataError(
            f"--online blocks requires slides, but the bags of {dataset.name} have no feature "
            "files; use --online adapter."
        )
    if store.coords is None:
        raise DataError(
            f"--online blocks requires the place of every tile, but features of {dataset.name} "
            f"have no coordinates; {INSTEAD}."
        )
    records = {slide: _record(store.files[slide]) for slide in store.rows}
    origins = {
        FeatureOrigin(r["encoder"], r["weights"], r["mpp"], r["tile"]) for r in records.values()
    }
    if len(origins) > 1:
        raise DataError(
            f"the features of {dataset.name} were extracted in {len(origins)} different ways; "
            "expected one encoder and tile size for all. Extract them again."
        )
    return SlidePixels(store, _sources(dataset, records), origins.pop())


def _record(file: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(read_record(file).settings)
    except (OSError, KeyError, ValueError):
        raise DataError(
            f"{file} has no record of its slide and extraction, as features of other tools; "
            f"{INSTEAD}."
        ) from None
    return record


def _sources(dataset: Dataset, records: Mapping[str, Mapping[str, Any]]) -> dict[str, SlideSource]:
    names = {slide: dataset.store.files[slide].stem for slide in records}
    paths = _slide_paths(dataset.slides) if dataset.slides else _recorded_paths(dataset)
    missing = [slide for slide, name in names.items() if not _is_file(paths.get(name))]
    if missing:
        last = paths.get(names[missing[0]])
        where = dataset.slides or (last and f"{last}, where it was extracted from") or "its table"
        raise DataError(
            f"{len(missing)} of {len(names)} slides are missing (first: {missing[0]}, searched in "
            f"{where}); pass their folder with --slides."
        )
    # The size is cheap to read; a changed file of the same size is caught by check_slides.
    for slide, name in names.items():
        size, expected = paths[name].stat().st_size, records[slide]["slide_bytes"]
        if size != expected:
            raise DataError(
                f"{paths[name]} has {size} bytes, but had {expected} when it was extracted; pass "
                "the same slides, or extract them again."
            )
    return {s: SlideSource(n, paths[n], records[s]["mpp_override"]) for s, n in names.items()}


def _slide_paths(where: Path) -> dict[str, Path]:
    return {source.name: source.path for source in find_slides(where)[0]}


def _recorded_paths(dataset: Dataset) -> dict[str, Path]:
    """Name -> path, from the tables that extraction left beside the features."""
    paths: dict[str, Path] = {}
    # Every folder once.
    for folder in dict.fromkeys(dataset.store.files[slide].parent for slide in dataset.store.rows):
        table = folder / TABLE
        if table.is_file():
            with table.open(newline="", encoding="utf-8") as file:
                # A slide in two tables: the later one.
                paths |= {row["name"]: Path(row["path"]) for row in csv.DictReader(file)}
    return paths


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()
