"""Bags in HDF5: CLAM, TRIDENT, STAMP and files with the same keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mil_bench.bags.formats import checks
from mil_bench.bags.formats.geometry import h5_geometry
from mil_bench.base.errors import FeatureError
from mil_bench.contract.store import Bag


def read_h5(path: Path) -> Bag:
    """Read the bag of an h5 file.

    Raises ``FeatureError`` with the reason for everything that is not a bag of patch features.
    """
    checks.check_file(path)
    try:
        with h5py.File(path, "r") as file:
            return _bag(path, file)
    except FeatureError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        raise checks.unreadable(path, "an HDF5 file", error) from None


def h5_encoder(path: Path) -> str | None:
    """Return the encoder that an h5 file names, if any, without reading its arrays."""
    try:
        with h5py.File(path, "r") as file:
            key = _feature_key(file)
            attrs = dict(file[key].attrs) if key else {}
            return h5_geometry(key or "", dict(file.attrs), attrs, {}, None).encoder
    except (OSError, RuntimeError):
        return None  # reading the bag will say what is wrong with it


def _bag(path: Path, node: Any) -> Bag:
    key = _feature_key(node)
    if key is None:
        raise _no_features(path, node)
    root = dict(node.attrs)
    kind = root.get("feat_type")
    kind = kind.decode() if isinstance(kind, bytes) else kind
    if kind in ("slide", "patient"):
        raise checks.refuse(
            path,
            f"a {kind} embedding (STAMP feat_type {kind!r})",
            "use the folder of tile features",
        )
    features, xy = node[key], _coords(node)
    shape = checks.bag_shape(path, features.shape, None if xy is None else xy.shape)
    array = checks.bag_features(path, features[()], shape)
    coords = None if xy is None else checks.bag_coords(path, xy[()], shape[0])
    where = h5_geometry(
        key, root, dict(features.attrs), {} if xy is None else dict(xy.attrs), coords
    )
    if coords is not None and where.scale != 1.0:
        coords = coords.astype(np.float64) * where.scale
    return Bag(
        array, coords, where.unit, where.anchor, where.patch_size, where.encoder, where.writer
    )


def _feature_key(node: Any) -> str | None:
    return next((k for k in checks.FEATURE_KEYS if isinstance(node.get(k), h5py.Dataset)), None)


def _coords(node: Any) -> Any:
    coords = node.get("coords")
    return coords if isinstance(coords, h5py.Dataset) else None


def _no_features(path: Path, node: Any) -> FeatureError:
    groups = [item for item in node.values() if isinstance(item, h5py.Group) and _feature_key(item)]
    if groups:
        return checks.refuse(
            path,
            f"{len(groups)} bags in one file, a group each",
            "name this file as `features` in a dataset .toml",
        )
    return checks.unknown_keys(path, sorted(node.keys()))
