"""``--online blocks``: checks before anything is run, and the parts of one run."""

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
from mil_bench.contract.spec import Blocks, Precision
from mil_bench.extraction.encoders.encoder import RANDOM_TAG, build, find_card, load_encoder
from mil_bench.extraction.encoders.weights import WeightsChoice, described
from mil_bench.extraction.outcome import TABLE
from mil_bench.extraction.slide_files import read_record
from mil_bench.extraction.sources import Source, find_slides
from mil_bench.training.online.pixels import Made, Pixels
from mil_bench.training.online.wrapped import FineTuned, last_blocks

ALIKE = 0.99  # cosine of features made in another precision or on another machine
LOOKED_AT = 4  # tiles


def check_blocks(online: Blocks, dataset: Dataset) -> None:
    """Raise a ``MilBenchError`` unless blocks of this encoder can be trained on this dataset."""
    if dataset.standardize:
        raise UsageError(
            f"{dataset.name} is standardised with statistics of its stored features, which "
            "--online blocks changes; remove standardize from its file, or use --online adapter."
        )
    made = pixels_of(dataset).made
    _weights(dataset, made)
    card = find_card(_plain(made.encoder))
    last_blocks(build(card), online.blocks, made.encoder)


def fine_tuned(
    inner: Method, online: Blocks, dataset: Dataset, device: torch.device, precision: Precision
) -> FineTuned:
    """``inner`` behind the encoder of the dataset's features, with that encoder's weights."""
    made = pixels_of(dataset).made
    choice = _weights(dataset, made)
    encoder = load_encoder(_plain(made.encoder), choice, device, precision)
    return FineTuned(inner, encoder, online.blocks)


def check_slides(method: FineTuned, pixels: Pixels, slide_id: str) -> None:
    """Raise ``RunError`` unless pixels of a slide give its stored features again.

    ``method`` must not have been trained yet.
    """
    stored = torch.from_numpy(pixels.store.bag(slide_id)[:LOOKED_AT].copy()).float()
    side, n = method.encoder.card.scaled, len(stored)
    tiles = pixels.tiles(slide_id, side, torch.arange(n).numpy())
    found = method.encoded(tiles).float().cpu()
    likeness = F.cosine_similarity(found, stored).min().item()
    if not likeness > ALIKE:
        raise RunError(
            f"tiles of {pixels.sources[slide_id].path} do not reproduce the stored features of "
            f"{slide_id} (cosine {likeness:.2f}, expected above {ALIKE}); pass the extracted "
            "slides with --slides, or extract these."
        )


def _plain(encoder: str) -> str:
    return encoder.removesuffix(RANDOM_TAG)


def _weights(dataset: Dataset, made: Made) -> WeightsChoice:
    """The weights that made the features."""
    if made.encoder.endswith(RANDOM_TAG):
        return WeightsChoice(random=True)
    card = find_card(made.encoder)
    if dataset.weights is None:
        raise UsageError(
            f"--online blocks requires the weights of encoder {made.encoder}; pass the file of the "
            f"extraction ({card.origin}) with --weights."
        )
    choice = WeightsChoice(checkpoint=dataset.weights)
    found = described(choice.resolve(card))
    if found != made.weights:
        raise DataError(
            f"{dataset.weights} is not the file of the extraction ({found}, expected "
            f"{made.weights}); pass that file with --weights."
        )
    return choice


# Where the features of a dataset come from: their slides, as ``mil-bench extract`` wrote it.

INSTEAD = "extract them with `mil-bench extract`, or use --online adapter"


def pixels_of(dataset: Dataset) -> Pixels:
    """The pixels behind the features of ``dataset``. Slides are found, none is opened.

    They are those of ``dataset.slides``, else those that the table beside the features names.
    Raises ``DataError`` when features have no slides, or are not of these slides.
    """
    store = dataset.store
    bare = [slide for slide in store.rows if slide not in store.files]
    if bare:
        raise DataError(
            f"--online blocks requires slides, but the bags of {dataset.name} come from no feature "
            "files; use --online adapter."
        )
    if store.coords is None:
        raise DataError(
            f"--online blocks requires the place of every tile, but features of {dataset.name} "
            f"have no coordinates; {INSTEAD}."
        )
    records = {slide: _record(store.files[slide]) for slide in store.rows}
    made = {Made(r["encoder"], r["weights"], r["mpp"], r["tile"]) for r in records.values()}
    if len(made) > 1:
        raise DataError(
            f"the features of {dataset.name} were extracted in {len(made)} different ways; "
            "expected one encoder and tile size. Extract them again."
        )
    return Pixels(store, _sources(dataset, records), made.pop())


def _record(file: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(read_record(file).settings)
    except (OSError, KeyError, ValueError):
        raise DataError(
            f"{file} lacks a record of its slide and extraction, like features of other tools; "
            f"{INSTEAD}."
        ) from None
    return record


def _sources(dataset: Dataset, records: Mapping[str, Mapping[str, Any]]) -> dict[str, Source]:
    names = {slide: dataset.store.files[slide].stem for slide in records}
    paths = _given(dataset.slides) if dataset.slides else _remembered(dataset)
    missing = [slide for slide, name in names.items() if not _is_file(paths.get(name))]
    if missing:
        last = paths.get(names[missing[0]])
        where = dataset.slides or (last and f"{last}, where it was extracted from") or "its table"
        raise DataError(
            f"{len(missing)} of {len(names)} slides are missing (first: {missing[0]}, expected in "
            f"{where}); pass their folder with --slides."
        )
    for slide, name in names.items():
        size, was = paths[name].stat().st_size, records[slide]["slide_bytes"]
        if size != was:
            raise DataError(
                f"{paths[name]} has {size} bytes and had {was} when its features were extracted; "
                "pass the same slides, or extract them again."
            )
    return {s: Source(n, paths[n], records[s]["mpp_override"]) for s, n in names.items()}


def _given(where: Path) -> dict[str, Path]:
    return {source.name: source.path for source in find_slides(where)[0]}


def _remembered(dataset: Dataset) -> dict[str, Path]:
    """Name -> path, from the tables that extraction left beside the features."""
    found: dict[str, Path] = {}
    for folder in dict.fromkeys(dataset.store.files[slide].parent for slide in dataset.store.rows):
        table = folder / TABLE
        if table.is_file():
            with table.open(newline="", encoding="utf-8") as file:
                found |= {row["name"]: Path(row["path"]) for row in csv.DictReader(file)}
    return found


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()
