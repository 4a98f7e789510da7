"""What defines the features of a slide; equal settings mean that a slide is done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mil_bench.extraction.sources import SlideSource
from mil_bench.extraction.tissue import EVERYTHING, PRESETS

METHOD: Final = 1  # of tiling and reading; raise it when features change
NOMINAL_MPP: Final = 10.0  # divided by the magnification: 0.5 um per pixel is called 20x


@dataclass(frozen=True)
class ExtractionSettings:
    """``mpp`` in um per pixel, ``tile`` in pixels at ``mpp``, ``min_tissue`` a share of a tile."""

    encoder: str
    weights: str
    precision: str
    mpp: float
    tile: int
    tissue: str
    min_tissue: float

    @property
    def magnification(self) -> float:
        """Nominal, as TRIDENT names it."""
        return NOMINAL_MPP / self.mpp

    def folder(self, out: Path) -> Path:
        """Return TRIDENT's place for the files of one encoder."""
        return self.grid_folder(out) / f"features_{self.encoder}"

    def grid_folder(self, out: Path) -> Path:
        """Return TRIDENT's place for all that has one magnification and tile size."""
        return out / f"{self.magnification:g}x_{self.tile}px_0px_overlap"

    def record(self, source: SlideSource) -> dict[str, Any]:
        """Return what the feature file of ``source`` records about its settings."""
        size = source.path.stat().st_size if source.path.exists() else None
        return {
            **asdict(self),
            "method": METHOD,
            "mpp_override": source.mpp,
            "slide_bytes": size,
        }


def min_share(tissue: str) -> float:
    """Return the default share of tissue that a tile needs."""
    return 0.0 if tissue == EVERYTHING else PRESETS[tissue].min_share


def differences(old: str, new: dict[str, Any]) -> list[str]:
    """List the settings of the JSON text ``old`` that differ in ``new``: ``"tile 256, now 512"``.

    Raises ``ValueError`` when ``old`` is no such record.
    """
    before = json.loads(old)
    if not isinstance(before, dict):
        raise ValueError(old)
    return [
        f"{key} {before.get(key)}, now {value}"
        for key, value in new.items()
        if before.get(key) != value
    ]
