"""The plan of a simulated cohort, before any feature is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import Taxonomy

Rng = np.random.Generator
FEWEST_PATCHES = 4


@dataclass(frozen=True)
class BagSizes:
    """Patches per slide: log-normal around ``median`` with deviation ``spread`` of the log."""

    median: float
    spread: float
    low: int
    high: int

    def draw(self, rng: Rng, n: int, max_patches: int | None) -> NDArray[np.int64]:
        """Return ``(n,)`` bag sizes; ``max_patches`` shrinks all of them so that ``high`` becomes
        it.
        """
        sizes = np.clip(self.median * np.exp(self.spread * rng.normal(size=n)), self.low, self.high)
        if max_patches is not None and max_patches < self.high:
            # All shrink alike, so that relations between slides stay.
            sizes = np.maximum(sizes * max_patches / self.high, FEWEST_PATCHES)
        return np.rint(sizes).astype(np.int64)


@dataclass(frozen=True)
class TileSize:
    """How patches were cut, as TRIDENT records it: pixels at the target magnification."""

    patch_size: int = 256
    magnification: int = 20
    level0_magnification: int = 40

    @property
    def size_level0(self) -> int:
        """Side of a patch in level-0 pixels."""
        return self.patch_size * self.level0_magnification // self.magnification


@dataclass(frozen=True)
class CohortPlan:
    """Slides to simulate and the label files to write.

    ``slides`` has a row per slide: ``slide_id``, ``label`` (leaf of ``taxonomy``, whose leaves are
    in order of severity), ``patient`` (slides of one patient look alike) and ``site`` (scanner and
    staining). ``tables`` maps a file name to its sheets: sheet name -> table, where a CSV file has
    the one sheet ``""``.
    """

    slides: pd.DataFrame
    taxonomy: Taxonomy
    sizes: BagSizes
    tables: Mapping[str, Mapping[str, pd.DataFrame]]
    tiles: TileSize = field(default_factory=TileSize)


def apportion(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Scale ``counts`` to sum to ``total`` by largest remainders (Hamilton), at least 1 each.

    Raises ``DataError`` when ``total`` is smaller than the number of counts.
    """
    if total < counts.size:
        raise DataError(
            f"{total} slides cannot fill the {counts.size} combinations of class and set (or "
            f"hospital) of this cohort; request at least {counts.size} slides."
        )
    share = counts.ravel() / counts.sum() * total
    parts = np.maximum(np.floor(share), 1).astype(np.int64)
    # The floor at 1 may give too many: then the largest excess gives one back.
    while gap := total - int(parts.sum()):
        step = 1 if gap > 0 else -1
        # -inf: a part of 1 cannot give.
        lacking = np.where(parts + step > 0, (share - parts) * step, -np.inf)
        parts[lacking.argmax()] += step
    apportioned: NDArray[np.int64] = parts.reshape(counts.shape)
    return apportioned


def cut_into_patients(
    rng: Rng, severity: NDArray[np.int64], n_patients: int, mixing: float
) -> NDArray[np.int64]:
    """Return ``(n,)`` patient of every slide: 1 to many slides each, geometric in number.

    Slides of a patient are alike in ``severity`` up to normal noise of deviation ``mixing``, so
    that some patients have slides of different classes.
    """
    n = len(severity)
    order = np.argsort(severity + mixing * rng.normal(size=n), kind="stable")
    starts = np.zeros(n, dtype=np.int64)
    starts[1 + rng.permutation(n - 1)[: n_patients - 1]] = 1  # cuts between neighbours in severity
    patients = np.empty(n, dtype=np.int64)
    patients[order] = np.cumsum(starts)
    return patients
