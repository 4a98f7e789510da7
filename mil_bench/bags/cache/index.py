"""The index of a packed cache: which rows are which slide, and the files they were read from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import ValidationError

from mil_bench.bags.formats.reader import BagSource
from mil_bench.bags.store import store_digest
from mil_bench.base.config import StrictConfig
from mil_bench.contract.store import Bag, BagStore, Tiling

FORMAT: Final = 2
INDEX, FEATURES, COORDS = "index.json", "features.npy", "coords.npy"
Stamp = tuple[tuple[str, int, int], ...]
_OF_THE_READER: Final = {"unit", "anchor", "patch_size", "encoder", "writer", "whole_slide"}


class PackedBag(StrictConfig):
    """One bag: its rows, its source files as ``(path, size, mtime_ns)``, what the reader found.

    ``dtype`` is that of the source; ``patch_size`` is in ``unit``. The digests are those of
    :func:`mil_bench.bags.store.bag_digests`.
    """

    start: int
    length: int
    stamp: Stamp
    dtype: Literal["float16", "float32"]
    writer: str
    unit: str
    anchor: str
    patch_size: float | None
    encoder: str | None
    digest: str
    coords_digest: str
    whole_slide: bool = False

    def unchanged(self) -> bool:
        """Return whether the source files are still those that were packed."""
        try:
            stats = [(Path(file).stat(), size, mtime) for file, size, mtime in self.stamp]
        except OSError:
            return False
        # Nanoseconds: a rewritten file has another time.
        return all((s.st_size, s.st_mtime_ns) == (size, mtime) for s, size, mtime in stats)


class Index(StrictConfig):
    """Content of ``index.json``."""

    format: Literal[2]
    encoder: str
    dim: int
    total: int
    bags: dict[str, PackedBag]


class CacheError(Exception):
    """The cache in a folder is not usable, for the reason in the text."""


class NoCacheError(CacheError):
    """There is no cache in a folder."""


def _of_this_version(path: Path) -> bytes:
    content = path.read_bytes()
    index = json.loads(content)
    # Before validation: another version's fields would read as damage.
    if isinstance(index, dict) and index.get("format", FORMAT) != FORMAT:
        raise CacheError("written by another version of mil-bench")
    return content


class Cache:
    """An opened packed cache. ``CacheError`` when the folder holds none or a damaged one."""

    def __init__(self, folder: Path) -> None:
        try:
            self.index = Index.model_validate_json(_of_this_version(folder / INDEX))
            self.features = np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False)
            self.coords = np.load(folder / COORDS, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            if not folder.exists():
                raise NoCacheError("missing") from None
            raise CacheError(f"incomplete, {error}") from None
        except (OSError, EOFError, ValidationError, ValueError) as error:
            raise CacheError(f"damaged ({str(error).splitlines()[0]})") from None
        # The files may be of two caches after a crash.
        if self.features.shape != (self.index.total, self.index.dim):
            raise CacheError(f"damaged (features of shape {self.features.shape})")

    def stale(self, sources: Mapping[str, BagSource]) -> str:
        """Return why the cache cannot serve ``sources`` (changed or new files), or ``""``."""
        bags = self.index.bags
        new = sum(slide not in bags for slide in sources)
        changed = sum(s in bags and bags[s].stamp != b.stamp() for s, b in sources.items())
        reasons = {"feature files have changed": changed, "slides are missing from it": new}
        total = len(sources)  # counted for the sentence
        return " and ".join(f"{n} of {total} {why}" for why, n in reasons.items() if n)

    def bag(self, slide: str) -> Bag:
        """Return one bag as it was read from its source, in the source's precision."""
        record = self.index.bags[slide]
        rows = slice(record.start, record.start + record.length)
        return Bag(
            self.features[rows].astype(record.dtype, copy=False),
            self.coords[rows] if record.coords_digest else None,  # NaN where the bag has none
            **record.model_dump(include=_OF_THE_READER),
        )

    def store(self, slides: Iterable[str]) -> BagStore:
        """Return a store of only ``slides``; the other cached slides do not change its digest."""
        bags = {slide: self.index.bags[slide] for slide in slides}
        return BagStore(
            self.index.encoder,
            self.features,
            # A store has coordinates of every bag or none.
            self.coords if all(b.coords_digest for b in bags.values()) else None,
            {slide: (b.start, b.length) for slide, b in bags.items()},
            store_digest({s: (b.digest, b.coords_digest) for s, b in bags.items()}),
            {s: Tiling(b.unit, b.anchor, b.patch_size) for s, b in bags.items()},
            {s: Path(b.stamp[0][0]) for s, b in bags.items() if b.stamp},
        )
