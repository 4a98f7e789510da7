"""A store of bags in memory, and the digests that identify the content of any store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mil_bench.bags.formats.checks import bag_coords, bag_features, bag_shape, is_vector
from mil_bench.base.errors import FeatureError
from mil_bench.contract.batch import stored_rows
from mil_bench.contract.store import Bag, BagStore, Tiling

DIGEST_LENGTH = 16
Scalar = TypeVar("Scalar", bound=np.number)


def store_of_arrays(
    encoder: str,
    features: Mapping[str, NDArray[np.floating]],
    coords: Mapping[str, NDArray[np.floating]] | None = None,
    tiling: Tiling | None = None,
) -> BagStore:
    """Make a store in memory from ``(N, D)`` features and ``(N, 2)`` coordinates per slide.

    The embedding of a slide may also be ``(D,)``.
    ``tiling`` is that of all slides. float16 stays float16 if every bag has it, else all become
    float32. Raises ``FeatureError`` for what the readers refuse in files: empty bags, NaN, mixed
    ``D``.
    """
    if any(is_vector(array.shape) for array in features.values()):
        coords = None  # those of the patches that a slide encoder read
    bags = {s: _checked(s, f, coords[s] if coords else None) for s, f in features.items()}
    if not bags:
        raise FeatureError("there are no bags; expected at least one slide with features.")
    vectors = {is_vector(array.shape): slide for slide, array in features.items()}
    if len(vectors) > 1:
        raise FeatureError(
            f"slide {vectors[True]!r} has one vector (D,) and slide {vectors[False]!r} has patches "
            "(N, D); expected slide embeddings for all slides, or features of patches for all."
        )
    slides = {bag.dim: slide for slide, bag in bags.items()}
    if len(slides) > 1:
        widths = ", ".join(f"D = {d} ({slide!r})" for d, slide in sorted(slides.items()))
        raise FeatureError(
            f"bags of different feature dimensions: {widths}; expected one encoder for all."
        )
    # Positions include the padding.
    starts = accumulate((stored_rows(len(bag)) for bag in bags.values()), initial=0)
    rows = {s: (start, len(bag)) for start, (s, bag) in zip(starts, bags.items(), strict=False)}
    xy = [bag.coords.astype(np.float64) for bag in bags.values() if bag.coords is not None]
    return BagStore(
        encoder,
        np.concatenate([padded_bag(bag.features) for bag in bags.values()]),
        np.concatenate([padded_bag(bag_xy) for bag_xy in xy]) if coords else None,
        rows,
        store_digest({slide: bag_digests(bag) for slide, bag in bags.items()}),
        dict.fromkeys(bags, tiling) if tiling else {},
    )


def store_of_bags(
    encoder: str, bags: Mapping[str, Bag], files: Mapping[str, Path] | None = None
) -> BagStore:
    """Make a store in memory from bags as readers return them; ``files`` are their sources.

    Coordinates are kept where every bag has them. Raises as :func:`store_of_arrays`.
    """
    xy = {s: b.coords.astype(np.float64) for s, b in bags.items() if b.coords is not None}
    store = store_of_arrays(
        encoder,
        {slide: bag.features for slide, bag in bags.items()},
        xy if len(xy) == len(bags) else None,
    )
    tilings = {slide: Tiling(b.unit, b.anchor, b.patch_size) for slide, b in bags.items()}
    return replace(store, tilings=tilings, files=dict(files or {}))


def padded_bag(rows: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return ``(n, width)`` rows of one bag with the zero rows that are stored behind it."""
    return np.pad(rows, ((0, stored_rows(len(rows)) - len(rows)), (0, 0)))


def bag_digests(bag: Bag) -> tuple[str, str]:
    """Return hashes of a bag's features and of its coordinates (``""`` when it has none)."""
    coords = "" if bag.coords is None else _array_digest(bag.coords.astype(np.float64))
    return _array_digest(bag.features), coords


def store_digest(bags: Mapping[str, tuple[str, str]]) -> str:
    """Return the hash of a store from its bags' :func:`bag_digests`, in any order of the slides.

    Coordinates count only where every bag has them, as the store drops them otherwise.
    """
    spatial = all(coords for _, coords in bags.values())
    # Sorted: the digest is of the set.
    content = sorted((s, f, c if spatial else "") for s, (f, c) in bags.items())
    return sha256(repr(content).encode()).hexdigest()[:DIGEST_LENGTH]


def _checked(
    slide: str, features: NDArray[np.floating], coords: NDArray[np.floating] | None
) -> Bag:
    name = Path(f"slide {slide}")
    # The readers' checks, with the slide in place of a file.
    shape = bag_shape(name, features.shape, None if coords is None else coords.shape)
    xy = None if coords is None else bag_coords(name, coords, shape[0])
    return Bag(bag_features(name, features, shape), xy)


def _array_digest(array: NDArray[np.floating]) -> str:
    # Of little-endian bytes, so that a big-endian machine computes the same run keys.
    digest = sha256(f"{array.dtype.newbyteorder('<').str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()[:32]
