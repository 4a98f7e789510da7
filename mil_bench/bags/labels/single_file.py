"""Bags kept in one file: an HDF5 file with a group per bag, or a table with a row per instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mil_bench.bags.formats.checks import FEATURE_KEYS, check_file, unreadable
from mil_bench.base.errors import FeatureError

COORDS = "coords"
INSTANCE_LABELS = "inst_labels"


@dataclass(frozen=True)
class Bags:
    """Bags in memory, by slide id.

    ``features`` ``(N, D)``; ``coords`` ``(N, 2)``, ``None`` when any bag lacks them;
    ``instance_labels`` the class name of every instance, empty unless the file knows them.
    """

    features: dict[str, NDArray[np.floating]]
    coords: dict[str, NDArray[np.floating]] | None = None
    instance_labels: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_grouped_h5(path: Path) -> Bags:
    """Read ``/<slide>/features`` and, if every bag has them, ``coords`` and ``inst_labels``.

    ``inst_labels`` ``(N,)`` are indices into the root attribute ``classes``. Raises
    ``FeatureError`` for a file that is damaged or of another form.
    """
    check_file(path)
    try:
        with h5py.File(path) as file:
            groups = {name: node for name, node in file.items() if isinstance(node, h5py.Group)}
            if not groups:
                raise FeatureError(
                    f"{path} holds {sorted(file)[:8]} and no group per bag; expected "
                    "/<slide_id>/features. For one file per slide give their folder."
                )
            classes = [_text(name) for name in file.attrs.get("classes", ())]
            return _read_groups(groups, classes, path)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # all of h5py's
        raise unreadable(path, "an HDF5 file", error) from None


def bags_of_table(table: pd.DataFrame, slide: str, columns: Sequence[str], path: Path) -> Bags:
    """Group the rows of ``table`` with equal ``slide`` into bags.

    Features are the numeric ``columns``.
    """
    unknown = [name for name in columns if name not in table]
    if unknown or not columns:
        raise FeatureError(
            f"{path} has the columns {list(table.columns)[:12]} and no feature columns "
            f"{unknown[:5]}; correct `feature_columns`."
        )
    # Text becomes NaN, found below with its cell.
    numbers = table[list(columns)].apply(pd.to_numeric, errors="coerce")
    rows, bad_columns = np.nonzero(numbers.isna().to_numpy())
    if len(rows):
        name = columns[bad_columns[0]]
        raise FeatureError(
            f"{path}: column {name!r} holds {table[name].iloc[rows[0]]!r} in data row "
            # As a person counts, without the header.
            f"{rows[0] + 1}; expected numbers. List the feature columns in `feature_columns`."
        )
    values = numbers.to_numpy(np.float32)
    bags = table.groupby(slide, sort=False).indices  # in order of first appearance
    return Bags({str(name): values[index] for name, index in bags.items()})


def _read_groups(groups: dict[str, h5py.Group], classes: Sequence[str], path: Path) -> Bags:
    first, node = next(iter(groups.items()))
    # One key for all groups.
    key = next((key for key in FEATURE_KEYS if key in node), FEATURE_KEYS[0])
    empty = [name for name, group in groups.items() if key not in group]
    if empty:
        raise FeatureError(
            f"{path}: group {empty[0]!r} holds {sorted(groups[empty[0]])} and no {key!r}; expected "
            f"features in every group, as in {first!r}."
        )
    # Of no use where a bag lacks it.
    shared = set.intersection(*(set(group) for group in groups.values()))
    has_labels = classes and INSTANCE_LABELS in shared
    return Bags(
        {name: group[key][:] for name, group in groups.items()},
        {name: group[COORDS][:] for name, group in groups.items()} if COORDS in shared else None,
        {name: tuple(classes[i] for i in group[INSTANCE_LABELS]) for name, group in groups.items()}
        if has_labels
        else {},
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
