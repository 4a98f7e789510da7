"""The manifest that eva writes beside its embeddings."""

from __future__ import annotations

import csv
from pathlib import Path

from mil_bench.bags.formats.reader import BagSource
from mil_bench.bags.manifest import check_id
from mil_bench.errors import DataError, FeatureError

MANIFEST = "manifest.csv"
COLUMNS = {"origin", "embeddings"}


def is_eva(folder: Path) -> bool:
    """Whether ``folder`` holds a manifest with eva's columns."""
    path = folder / MANIFEST
    if not path.is_file():
        return False
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return set(next(csv.reader(file), [])) >= COLUMNS


def read_manifest(folder: Path) -> dict[str, BagSource]:
    """Slide name -> its files in the order of the manifest.

    Rows of one ``wsi_id`` are one slide; without that column every row is a slide named after its
    file. Raises ``FeatureError`` for a path that leaves the folder.
    """
    files: dict[str, list[Path]] = {}
    with (folder / MANIFEST).open(newline="", encoding="utf-8", errors="replace") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            name = row["embeddings"] or ""
            try:
                check_id(name)
            except DataError as error:
                raise FeatureError(f"{folder / MANIFEST}, line {number}: {error}") from None
            slide = row.get("wsi_id") or Path(name).with_suffix("").as_posix()
            files.setdefault(slide, []).append(folder / name)
    return {slide: BagSource(tuple(paths), "eva") for slide, paths in files.items()}
