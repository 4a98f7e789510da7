"""Packed features of a dataset: one contiguous memory-mapped array and an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mil_bench.bags.formats.checks import bag_coords, bag_features, bag_shape
from mil_bench.base.errors import FeatureError
from mil_bench.contract.rows import stored_room
from mil_bench.contract.store import Bag, Tiling

DIGEST_LENGTH = 16
Number = TypeVar("Number", bound=np.number)


@dataclass(frozen=True)
class BagStore:
    """All bags of one dataset and encoder. Reading a bag is a slice of a memory map.

    ``features``  ``(total, D)`` float16 or float32, possibly a memory map; behind a large bag there
                  are zero rows (:func:`mil_bench.contract.rows.stored_room`)
    ``coords``    ``(total, 2)`` float64, or ``None`` when any bag lacks them
    ``rows``      slide id -> (first row, number of rows)
    ``digest``    content hash of features, coordinates and slide ids; part of every run key
    ``tilings``   slide id -> unit, anchor and patch size of its coordinates; in no digest
    ``files``     slide id -> the file that its features were read from, if any; in no digest
    """

    encoder: str
    features: NDArray[np.floating]
    coords: NDArray[np.float64] | None
    rows: Mapping[str, tuple[int, int]]
    digest: str
    tilings: Mapping[str, Tiling] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def from_arrays(
        cls,
        encoder: str,
        features: Mapping[str, NDArray[np.floating]],
        coords: Mapping[str, NDArray[np.floating]] | None = None,
        tiling: Tiling | None = None,
    ) -> BagStore:
        """A store in memory from ``(N, D)`` features and ``(N, 2)`` coordinates per slide.

        ``tiling`` is that of all slides. float16 stays float16 if every bag has it, else all
        become float32. Raises ``FeatureError`` for what the readers refuse in files: empty bags,
        NaN, mixed ``D``.
        """
        bags = {s: _checked(s, f, coords[s] if coords else None) for s, f in features.items()}
        if not bags:
            raise FeatureError("no bags at all; expected at least one slide with features.")
        dims = {bag.dim: slide for slide, bag in bags.items()}
        if len(dims) > 1:
            found = ", ".join(f"D = {d} ({slide!r})" for d, slide in sorted(dims.items()))
            raise FeatureError(f"bags of different width: {found}; expected one encoder for all.")
        starts = accumulate((stored_room(len(bag)) for bag in bags.values()), initial=0)
        rows = {s: (start, len(bag)) for start, (s, bag) in zip(starts, bags.items(), strict=False)}
        xy = [bag.coords.astype(np.float64) for bag in bags.values() if bag.coords is not None]
        return cls(
            encoder,
            np.concatenate([with_room(bag.features) for bag in bags.values()]),
            np.concatenate([with_room(one) for one in xy]) if coords else None,
            rows,
            store_digest({slide: bag_digests(bag) for slide, bag in bags.items()}),
            dict.fromkeys(bags, tiling) if tiling else {},
        )

    @property
    def dim(self) -> int:
        """Feature dimension ``D``."""
        return int(self.features.shape[1])

    @property
    def instances(self) -> int:
        """Number of instances of all bags."""
        return sum(length for _, length in self.rows.values())

    def bag(self, slide_id: str) -> NDArray[np.floating]:
        """``(N, D)`` view of one bag."""
        start, length = self.rows[slide_id]
        return self.features[start : start + length]

    def bag_coords(self, slide_id: str) -> NDArray[np.float64] | None:
        """``(N, 2)`` view of one bag's coordinates."""
        if self.coords is None:
            return None
        start, length = self.rows[slide_id]
        return self.coords[start : start + length]

    def tiling(self, slide_id: str) -> Tiling:
        """How the coordinates of one bag are meant; level-0 pixels at top left if unsaid."""
        return self.tilings.get(slide_id, Tiling())


def with_room(rows: NDArray[Number]) -> NDArray[Number]:
    """``(n, width)`` rows of one bag and the zero rows that are stored behind it."""
    return np.pad(rows, ((0, stored_room(len(rows)) - len(rows)), (0, 0)))


def bag_digests(bag: Bag) -> tuple[str, str]:
    """Hashes of a bag's features and of its coordinates (``""`` when it has none)."""
    coords = "" if bag.coords is None else _array_digest(bag.coords.astype(np.float64))
    return _array_digest(bag.features), coords


def store_digest(bags: Mapping[str, tuple[str, str]]) -> str:
    """Hash of a store from its bags' :func:`bag_digests`; the order of the slides is no matter.

    Coordinates count only where every bag has them, as the store drops them otherwise.
    """
    spatial = all(coords for _, coords in bags.values())
    content = sorted((s, f, c if spatial else "") for s, (f, c) in bags.items())
    return sha256(repr(content).encode()).hexdigest()[:DIGEST_LENGTH]


def _array_digest(array: NDArray[np.floating]) -> str:
    hashed = sha256(f"{array.dtype.newbyteorder('<').str}{array.shape}".encode())
    hashed.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return hashed.hexdigest()[:32]


def _checked(
    slide: str, features: NDArray[np.floating], coords: NDArray[np.floating] | None
) -> Bag:
    name = Path(f"slide {slide}")
    shape = bag_shape(name, features.shape, None if coords is None else coords.shape)
    xy = None if coords is None else bag_coords(name, coords, shape[0])
    return Bag(bag_features(name, features, shape), xy)
