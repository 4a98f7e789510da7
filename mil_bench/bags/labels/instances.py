"""Known labels of single patches: ``instances.csv`` beside the label file of a cohort.

Columns ``slide_id, row, label``; ``row`` counts the patches of the slide's feature file from 0.
Patches that are not listed are ``background``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mil_bench.bags.formats.names import match_ids
from mil_bench.bags.labels.tables import read_table, require
from mil_bench.base.errors import DataError

INSTANCES = "instances.csv"
BACKGROUND = "background"


def write_instances(root: Path, labels: Mapping[str, Mapping[int, str]]) -> Path:
    """Write the class names of patches, by slide and row, to ``<root>/instances.csv``."""
    rows = [
        (slide, row, label) for slide, marked in labels.items() for row, label in marked.items()
    ]
    path = root / INSTANCES
    pd.DataFrame(rows, columns=["slide_id", "row", "label"]).to_csv(path, index=False)
    return path


def read_instances(root: Path, sizes: Mapping[str, int]) -> dict[str, tuple[str, ...]] | None:
    """Read ``<root>/instances.csv`` by :func:`read_instance_file`, if the file exists."""
    path = root / INSTANCES
    return read_instance_file(path, sizes) if path.is_file() else None


def read_instance_file(path: Path, sizes: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Return, by slide, the class name of each of its ``sizes[slide]`` patches.

    Slides outside ``sizes`` are left out; file extensions in ids are ignored. Raises ``DataError``
    for a file that cannot be read, missing columns and rows beyond the bag.
    """
    table = read_table(path)
    columns = (table[require(table, [name], path)] for name in ("slide_id", "row", "label"))
    names = {slide: [BACKGROUND] * size for slide, size in sizes.items()}
    listed, rows, labels = columns
    ids = {name: slide for slide, name in match_ids(list(sizes), dict.fromkeys(listed)).items()}
    for name, row, label in zip(listed, rows, labels, strict=True):
        if name not in ids:
            continue
        slide = ids[name]
        if not row.isdecimal() or int(row) >= len(names[slide]):
            raise DataError(
                f"{path} labels patch {row} of slide {slide}, whose bag has {len(names[slide])} "
                "patches (0 the first); expected rows of the current feature files."
            )
        names[slide][int(row)] = label
    return {slide: tuple(labels) for slide, labels in names.items()}
