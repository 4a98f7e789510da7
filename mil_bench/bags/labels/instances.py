"""Known labels of single patches: ``instances.csv`` beside the label file of a cohort.

Columns ``slide_id, row, label``; ``row`` counts the patches of the slide's feature file from 0.
Patches that are not listed are ``background``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mil_bench.errors import DataError

INSTANCES = "instances.csv"
BACKGROUND = "background"


def write_instances(root: Path, labels: Mapping[str, Mapping[int, str]]) -> Path:
    """Write slide -> row -> class name to ``<root>/instances.csv`` and return its path."""
    rows = [
        (slide, row, label) for slide, marked in labels.items() for row, label in marked.items()
    ]
    path = root / INSTANCES
    pd.DataFrame(rows, columns=["slide_id", "row", "label"]).to_csv(path, index=False)
    return path


def read_instances(root: Path, sizes: Mapping[str, int]) -> dict[str, tuple[str, ...]] | None:
    """Slide -> class name of each of its ``sizes[slide]`` patches; ``None`` without the file.

    Slides outside ``sizes`` are left out. Raises ``DataError`` for missing columns and for rows
    that are no patch of the bag.
    """
    path = root / INSTANCES
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype=str, na_filter=False)
    if not {"slide_id", "row", "label"} <= set(table.columns):
        raise DataError(
            f"{path} has the columns {list(table.columns)}; expected slide_id, row and label."
        )
    names = {slide: [BACKGROUND] * size for slide, size in sizes.items()}
    known = table[table["slide_id"].isin(list(names))]
    numbers = pd.to_numeric(known["row"], errors="coerce")
    columns = (known["slide_id"], known["row"], numbers, known["label"])
    for slide, row, number, label in zip(*columns, strict=True):
        if number not in range(len(names[slide])):
            raise DataError(
                f"{path} labels patch {row} of slide {slide}, whose bag has {len(names[slide])} "
                "patches (0 the first); expected rows of the same feature files."
            )
        names[slide][int(number)] = label
    return {slide: tuple(labels) for slide, labels in names.items()}
