"""``features.lock``: a few numbers per slide that recognise features extracted a second time.

The digest of features changes with the last bit of one value. Two laboratories that extract the
same slides with the same encoder never share it: processors, precisions and libraries differ. The
lock tells such features from those of another encoder. It holds, per slide, the number of patches,
the mean and spread of all values, and 16 fixed random projections of the mean patch. None of it
depends on the order of the patches.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.console import ProgressDisplay
from mil_bench.base.errors import DataError
from mil_bench.base.formats import FEATURES_LOCK, FORMAT, format_of
from mil_bench.contract.store import BagStore

PROJECTIONS: Final = 16
TOLERANCE: Final = 0.01
"""Features are about equal up to this deviation, a share of the spread of a slide's values."""
LOCKS_FOLDER: Final = "features"
"""``<runs>/<dataset>/features/<digest>.json`` is the lock of the features with that digest."""
_SEED = 20260
_ROWS = 8192  # patches that are converted to float32 at a time
_DIGITS = 6
_LARGEST = 1e30


@dataclass(frozen=True)
class FeaturesLock:
    """Numbers of every slide: ``slide -> (patches, mean, spread, projection 1, ..., 16)``."""

    dim: int
    slides: Mapping[str, tuple[float, ...]]

    def save(self, path: Path) -> None:
        """Write the lock as JSON with a line per slide, at once or not at all."""
        lines = (f"    {json.dumps(s)}: {json.dumps(v)}" for s, v in sorted(self.slides.items()))
        body = ",\n".join(lines)
        head = f'  "{FORMAT}": {FEATURES_LOCK},\n  "dim": {self.dim},\n  "slides": '
        # Grids that start at the same time write the same lock: each process renames its own file.
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(f"{{\n{head}{{\n{body}\n  }}\n}}\n", encoding="utf-8")
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> FeaturesLock:
        """Read a lock. Raises ``DataError`` for a damaged file or one of a newer format."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"cannot read {path} ({error}).") from None
        if not isinstance(content, dict):
            raise DataError(f"{path} holds a {type(content).__name__}; expected an object.")
        format_of(content, FEATURES_LOCK, str(path))
        return cls(*_checked(content, path))

    def deviation(self, other: FeaturesLock) -> float:
        """Return the largest difference of any slide, in units of its spread.

        Infinite where the slides, their patches or the dimension differ.
        """
        if self.dim != other.dim or set(self.slides) != set(other.slides):
            return float("inf")
        names = list(self.slides)
        mine, theirs = (np.array([lock.slides[s] for s in names]) for lock in (self, other))
        if (mine[:, 0] != theirs[:, 0]).any():
            return float("inf")
        spread = np.maximum(mine[:, 2:3], theirs[:, 2:3])
        difference = np.abs(mine[:, 1:] - theirs[:, 1:])
        # A slide of equal values everywhere has no spread; it is equal or it is not.
        shares = np.divide(
            difference, spread, out=np.where(difference > 0, np.inf, 0.0), where=spread > 0
        )
        return float(shares.max(initial=0.0))


def lock_of(store: BagStore) -> FeaturesLock:
    """Return the lock of all slides of a store; every value is read once, a few rows at a time."""
    signs = _signs(store.dim)
    slides = {}
    with ProgressDisplay("describing features", len(store.rows), unit="slide") as progress:
        for slide in store.rows:
            slides[slide] = _numbers(store.bag(slide), signs)
            progress.advance()
    return FeaturesLock(store.dim, slides)


def save_lock(store: BagStore, folder: Path) -> Path:
    """Write ``<folder>/<digest>.json`` unless it is there; return its path."""
    path = folder / f"{store.digest}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        lock_of(store).save(path)
    return path


def read_locks(runs: Path) -> tuple[dict[str, FeaturesLock], list[str]]:
    """Return the locks of all datasets under a folder of runs, by digest of the features.

    Also a sentence for each lock that cannot be read; features without one differ by their digest
    alone.
    """
    locks, unreadable = {}, []
    for path in sorted(runs.glob(f"[!.]*/{LOCKS_FOLDER}/*.json")):
        try:
            locks[path.stem] = FeaturesLock.read(path)
        except DataError as error:
            unreadable.append(str(error))
    return locks, unreadable


def _numbers(features: NDArray[np.floating], signs: NDArray[np.float32]) -> tuple[float, ...]:
    n, dim = features.shape
    total, squares = np.zeros(dim), 0.0
    for start in range(0, n, _ROWS):
        rows = features[start : start + _ROWS].astype(np.float32)
        total += rows.sum(0, dtype=np.float64)
        squares += float(np.einsum("ij,ij->i", rows, rows).sum(dtype=np.float64))
    mean = total.sum() / (n * dim)
    spread = np.sqrt(max(squares / (n * dim) - mean**2, 0.0))
    projections = signs @ (total / n) / np.sqrt(dim)
    return (n, *(_rounded(value) for value in (mean, spread, *projections)))


def _signs(dim: int) -> NDArray[np.float32]:
    """``(16, dim)`` of 1 and -1, the same everywhere: bits of the raw stream of PCG64."""
    words = np.random.PCG64(_SEED).random_raw(PROJECTIONS * dim).reshape(PROJECTIONS, dim)
    return np.where(words >> np.uint64(63), 1.0, -1.0).astype(np.float32)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _checked(content: Mapping[str, Any], path: Path) -> tuple[int, dict[str, tuple[float, ...]]]:
    dim, slides = content.get("dim"), content.get("slides")
    if not isinstance(dim, int) or not isinstance(slides, dict):
        raise DataError(f"{path} has no dim or no slides; delete it and rerun to write it again.")
    wrong = next((slide for slide, values in slides.items() if not _are_numbers(values)), None)
    if wrong is not None:
        raise DataError(
            f"{path}: slide {wrong!r} has other entries than {PROJECTIONS + 3} numbers; delete the "
            "file and rerun to write it again."
        )
    return dim, {slide: tuple(map(float, values)) for slide, values in slides.items()}


def _are_numbers(values: object) -> bool:
    # The limit is far above any feature; it also refuses integers that no float holds, and nan.
    return (
        isinstance(values, list)
        and len(values) == PROJECTIONS + 3
        and all(isinstance(v, int | float) and abs(v) < _LARGEST for v in values)
    )
