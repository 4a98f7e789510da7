"""Bags in HDF5, and the geometry of patches (unit, anchor, size) as each writer defines it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mil_bench.bags.formats import checks
from mil_bench.bags.formats.names import canonical_encoder, slide_encoder
from mil_bench.base.errors import FeatureError, counted
from mil_bench.contract.store import Bag

LOG = logging.getLogger(__name__)
NEWEST_KNOWN_STAMP = (2, 5)
STAMP_V1_PIXELS, STAMP_V1_UM = 224, 256.0
FREQUENT = 0.25  # of the commonest step; rarer steps are gaps between tissue pieces

Attrs = Mapping[str, Any]


@dataclass(frozen=True)
class Geometry:
    """Fields of a bag that do not come from its arrays; ``scale`` multiplies the coordinates."""

    writer: str
    unit: str = "level0_px"
    anchor: str = "top_left"
    patch_size: float | None = None
    encoder: str | None = None
    scale: float = 1.0


def h5_geometry(
    key: str, root: Attrs, features: Attrs, coords: Attrs, xy: NDArray[Any] | None
) -> Geometry:
    """Recognise the writer of an h5 bag by its feature key and the attributes of its parts."""
    if key in ("feats", "patch_embeddings") or "stamp_version" in root or "extractor" in root:
        return _stamp(root, xy)
    encoder = _text(features.get("encoder"))
    encoder = canonical_encoder(encoder) if encoder else None
    if encoder or "target_magnification" in coords or "patch_size_level0" in coords:
        size = _trident_size(coords) or _clam_size(coords) or grid_step(xy)
        return Geometry("trident", patch_size=size, encoder=encoder)
    return Geometry("clam", patch_size=_clam_size(coords) or grid_step(xy))


def grid_step(xy: NDArray[Any] | None) -> float | None:
    """Return the distance of neighbouring patches: the smallest frequent positive step.

    Steps are measured within a row or column: the shift between the grids of two tissue pieces is
    not a step. Return ``None`` when no patches are neighbours.
    """
    if xy is None or len(xy) < 2:
        return None
    steps = []
    for along, across in ((0, 1), (1, 0)):
        order = np.lexsort((xy[:, along], xy[:, across]))  # row by row, then column by column
        step = np.diff(xy[order].astype(np.float64), axis=0)  # int32 differences may overflow
        steps.append(step[(step[:, across] == 0) & (step[:, along] > 0), along])
    # Rounded: steps in um are not exact.
    values, counts = np.unique(np.concatenate(steps).round(2), return_counts=True)
    if not len(values):
        return None
    # Values are sorted: the smallest frequent one.
    return float(values[counts >= FREQUENT * counts.max()][0])


def _stamp(root: Attrs, xy: NDArray[Any] | None) -> Geometry:
    _warn_of_newer_stamp(_text(root.get("stamp_version")) or "")
    extractor = _text(root.get("extractor"))
    encoder = canonical_encoder(extractor) if extractor else None
    size = number(root.get("tile_size_um")) or number(root.get("tile_size"))
    step = grid_step(xy)
    if not size and _text(root.get("unit")) is None and step and round(step) == STAMP_V1_PIXELS:
        # STAMP v1 counted pixels of tiles that were 256 um wide and resized to 224 px.
        scale = STAMP_V1_UM / STAMP_V1_PIXELS
        return Geometry("stamp", "um", "top_left", STAMP_V1_UM, encoder, scale)
    return Geometry("stamp", "um", "top_left", size or step, encoder)


@cache
def _warn_of_newer_stamp(version: str) -> None:
    parts = version.split(".")[:2]
    if all(p.isdigit() for p in parts) and tuple(map(int, parts)) > NEWEST_KNOWN_STAMP:
        LOG.warning(
            "features were written by STAMP %s, newer than the supported 2.5; they are read like "
            "those of 2.5.",
            version,
        )


def _trident_size(coords: Attrs) -> float | None:
    size = number(coords.get("patch_size_level0"))
    if size is not None:
        return size
    patch = number(coords.get("patch_size"))
    source = number(coords.get("level0_magnification"))
    target = number(coords.get("target_magnification"))
    return patch * source / target if patch and source and target else None


def _clam_size(coords: Attrs) -> float | None:
    """CLAM: ``patch_size`` counts pixels of ``patch_level``, ``downsample`` times level 0."""
    patch = number(coords.get("patch_size"))
    downsample = number(coords.get("downsample"))
    if patch is None or (downsample is None and number(coords.get("patch_level")) != 0):
        return None
    # downsample is of patch_level; custom_downsample is CLAM's second resize on top.
    return patch * (downsample or 1.0) * (number(coords.get("custom_downsample")) or 1.0)


def number(value: Any) -> float | None:
    """Return a number or the first of a tuple; TRIDENT stores a missing one as the text 'None'."""
    try:
        return float(np.asarray(value).ravel()[0])  # h5 attributes come as arrays of one
    except (TypeError, ValueError, IndexError):
        return None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return None if text in ("", "None") else text


# Bags in HDF5: CLAM, TRIDENT, STAMP and files with the same keys.


def read_h5(path: Path) -> Bag:
    """Read the bag of an h5 file.

    Raises ``FeatureError`` with the reason for everything that is not a bag of features.
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
            # No coordinates: the geometry is not read here.
            attrs = dict(file[key].attrs) if key else {}
            if "feat_type" in file.attrs and "encoder" in file.attrs:
                return _slide_encoder(file.attrs)
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
    features, xy = node[key], _coords(node)
    declared = kind in ("slide", "patient") or key in checks.SLIDE_KEYS
    whole_slide = declared or checks.is_vector(features.shape)
    if whole_slide:
        xy = None  # TRIDENT stores those of the patches beside the vector
    # Shapes first: no array is read before they fit.
    shape = checks.bag_shape(path, features.shape, None if xy is None else xy.shape)
    if declared:
        checks.one_vector(path, shape[0], f"`{key}` is the embedding of a slide")
    array = checks.bag_features(path, features[()], shape)
    coords = None if xy is None else checks.bag_coords(path, xy[()], shape[0])
    where = h5_geometry(
        key, root, dict(features.attrs), {} if xy is None else dict(xy.attrs), coords
    )
    if coords is not None and where.scale != 1.0:
        coords = coords.astype(np.float64) * where.scale  # float64: scaled pixels are not whole
    return Bag(
        array,
        coords,
        where.unit,
        where.anchor,
        where.patch_size,
        # STAMP names the slide encoder apart from the tile extractor.
        _slide_encoder(root) if whole_slide else where.encoder,
        where.writer,
        whole_slide,
    )


def _slide_encoder(root: Attrs) -> str | None:
    encoder = _text(root.get("encoder"))
    return slide_encoder(encoder) if encoder else None


def _feature_key(node: Any) -> str | None:
    keys = (*checks.FEATURE_KEYS, *checks.SLIDE_KEYS)
    return next((k for k in keys if isinstance(node.get(k), h5py.Dataset)), None)


def _coords(node: Any) -> Any:
    coords = node.get("coords")
    return coords if isinstance(coords, h5py.Dataset) else None


def _no_features(path: Path, node: Any) -> FeatureError:
    groups = [item for item in node.values() if isinstance(item, h5py.Group) and _feature_key(item)]
    if groups:
        return checks.refuse(
            path,
            f"{counted(len(groups), 'bag')} in one file, a group each",
            "name this file as `features` in a dataset .toml",
        )
    return checks.unknown_keys(path, sorted(node.keys()))
