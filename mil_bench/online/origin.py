"""Where the features of a dataset come from: their slides, as ``mil-bench extract`` wrote it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mil_bench.dataset import Dataset
from mil_bench.errors import DataError
from mil_bench.extraction.bag_file import read_record
from mil_bench.extraction.found import Source, find_slides
from mil_bench.extraction.summary import TABLE
from mil_bench.online.pixels import Made, Pixels

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
            f"--online blocks needs slides, and the bags of {dataset.name} come from no feature "
            "files; use --online adapter."
        )
    if store.coords is None:
        raise DataError(
            f"--online blocks needs the place of every tile, and features of {dataset.name} have "
            f"no coordinates; {INSTEAD}."
        )
    records = {slide: _record(store.files[slide]) for slide in store.rows}
    made = {Made(r["encoder"], r["weights"], r["mpp"], r["tile"]) for r in records.values()}
    if len(made) > 1:
        raise DataError(
            f"the features of {dataset.name} were extracted in {len(made)} different ways; "
            "expected one encoder and tile size for all, extract them again."
        )
    return Pixels(store, _sources(dataset, records), made.pop())


def _record(file: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(read_record(file).settings)
    except (OSError, KeyError, ValueError):
        raise DataError(
            f"{file} does not say from which slide and how it was made, as features of other "
            f"tools; {INSTEAD}."
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
            f"{len(missing)} of {len(names)} slides are not there (first: {missing[0]}, looked for "
            f"in {where}); say where they are with --slides."
        )
    for slide, name in names.items():
        size, was = paths[name].stat().st_size, records[slide]["slide_bytes"]
        if size != was:
            raise DataError(
                f"{paths[name]} has {size} bytes and had {was} when its features were made; give "
                "the same slides, or extract them again."
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
