"""Bags kept in one file: HDF5, .npz, .pt, or a table with a row per instance or slide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mil_bench.bags.formats.arrays import load_tensors, tensor_array
from mil_bench.bags.formats.checks import (
    FEATURE_KEYS,
    SLIDE_KEYS,
    check_file,
    pickled,
    refuse,
    unreadable,
)
from mil_bench.bags.formats.names import PICKLES
from mil_bench.base.errors import FeatureError

COORDS = "coords"
INSTANCE_LABELS = "inst_labels"


@dataclass(frozen=True)
class Bags:
    """Bags in memory, by slide id.

    ``features``         ``(N, D)``, or ``(D,)`` for slide embeddings
    ``coords``           ``(N, 2)``, ``None`` when any bag lacks them
    ``instance_labels``  the class name of every instance, empty unless the file knows them
    """

    features: dict[str, NDArray[np.floating]]
    coords: dict[str, NDArray[np.floating]] | None = None
    instance_labels: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_single_file(path: Path) -> Bags:
    """Read all bags of an .h5, .npz or .pt file.

    Raises ``FeatureError`` for a file that is damaged or of another form; a pickle is never opened.
    """
    check_file(path)
    match path.suffix.lower():
        case ".h5" | ".hdf5":
            return read_grouped_h5(path)
        case ".npz":
            return _read_npz(path)
        case ".pt" | ".pth":
            return _read_pt(path)
    if path.suffix.lower() in PICKLES:
        raise pickled(path)
    raise refuse(
        path,
        f"no file of all bags has the ending {path.suffix!r}",
        "expected .h5, .npz, .pt or a table (.csv, .tsv, .xlsx, .parquet), or a folder",
    )


def read_grouped_h5(path: Path) -> Bags:
    """Read ``/<slide>/features`` and, if every bag has them, ``coords`` and ``inst_labels``.

    ``inst_labels`` ``(N,)`` are indices into the root attribute ``classes``. Slide embeddings may
    lie at the root, an array ``/<slide>`` each, as COBRA and EAGLE write them. Raises
    ``FeatureError`` for a file that is damaged or of another form.
    """
    check_file(path)
    try:
        with h5py.File(path) as file:
            groups = {name: node for name, node in file.items() if isinstance(node, h5py.Group)}
            arrays = {name: node for name, node in file.items() if isinstance(node, h5py.Dataset)}
            if not groups and arrays and not set(arrays) & {*_KEYS, COORDS, _IDS}:
                return Bags({name: _vector(path, name, node[()]) for name, node in arrays.items()})
            if not groups:
                raise FeatureError(
                    f"{path} holds {sorted(file)[:8]} and no group per bag; expected "
                    "/<slide_id>/features. For one file per slide give their folder."
                )
            classes = [_text(name) for name in file.attrs.get("classes", ())]
            return _read_groups(groups, classes, path)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # all of h5py's
        raise unreadable(path, "an HDF5 file", error) from None


_KEYS = (*FEATURE_KEYS, *SLIDE_KEYS)
_IDS = "slide_ids"


def _read_npz(path: Path) -> Bags:
    """``slide_ids`` ``(n,)`` and embeddings ``(n, D)`` under a known key, or an array per slide."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except Exception as error:  # a damaged zip raises errors of several libraries
        raise unreadable(path, "a NumPy file without pickles", error) from None
    key = next((key for key in _KEYS if key in arrays), None)
    if key is None:
        return Bags({name: _vector(path, name, array) for name, array in arrays.items()})
    ids = arrays.get(_IDS)
    if ids is None or ids.shape != arrays[key].shape[:1] or arrays[key].ndim != 2:
        shape = None if ids is None else ids.shape
        raise refuse(
            path,
            f"{_IDS} of shape {shape} beside {key} of shape {arrays[key].shape}",
            f"expected {_IDS} (n,) and {key} (n, D), a row per slide",
        )
    names = [str(name) for name in ids]
    doubled = next((name for name, count in Counter(names).items() if count > 1), None)
    if doubled is not None:
        raise refuse(path, f"slide {doubled!r} has several rows", "keep one row per slide")
    return Bags(dict(zip(names, arrays[key], strict=True)))


def _read_pt(path: Path) -> Bags:
    """A dict of tensors by slide id: ``(D,)``, ``(1, D)`` or ``(N, D)``."""
    content = load_tensors(path)
    if not isinstance(content, Mapping) or not content or not all(map(_is_id, content)):
        raise refuse(
            path,
            f"holds {type(content).__name__}, not the bags of all slides by id",
            "expected a dict of slide id to tensor; for one file per slide give their folder",
        )
    return Bags({name: tensor_array(path, value) for name, value in content.items()})


def _is_id(key: object) -> bool:
    return isinstance(key, str) and key not in _KEYS


def _vector(path: Path, name: str, array: NDArray[Any]) -> NDArray[Any]:
    """One slide's array at the root of a file: ``(D,)`` or ``(1, D)``."""
    if array.ndim == 2 and len(array) == 1:
        array = array[0]
    if array.ndim != 1:
        raise refuse(
            path,
            f"an array {name!r} of shape {array.shape} at its root",
            "expected a vector (D,) per slide, or a group per slide with `features`",
        )
    return array


PARQUET = ".parquet"


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a table of embeddings; a column of lists becomes a column per number.

    Raises ``FeatureError`` for a damaged file, lists of different lengths, and without pyarrow.
    """
    check_file(path)
    try:
        table = pd.read_parquet(path)
    except ImportError:
        raise refuse(
            path,
            "reading .parquet requires pyarrow, which is not installed",
            "pip install pyarrow, or save the table as .csv or .npz",
        ) from None
    except Exception as error:  # pyarrow has its own classes
        raise unreadable(path, "a Parquet file", error) from None
    table.columns = pd.Index(map(str, table.columns))
    parts = []
    for name in table:
        if len(table) and isinstance(table[name].iloc[0], list | np.ndarray):
            lengths = sorted({len(row) for row in table[name]})
            if len(lengths) > 1:
                raise refuse(
                    path, f"lists of {lengths[:3]} numbers in {name!r}", "expected one length"
                )
            numbers = np.stack(table[name].to_list())
            wide = [f"{name}.{i}" for i in range(lengths[0])]
            parts.append(pd.DataFrame(numbers, table.index, wide))
        else:
            parts.append(table[[name]])
    return pd.concat(parts, axis=1)


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
    key = next((key for key in _KEYS if key in node), FEATURE_KEYS[0])
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
