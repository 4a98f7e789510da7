"""The feature file of one slide: TRIDENT's names and attributes, but contiguous."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mil_bench.atomic import replacing
from mil_bench.extraction.grid import Coords
from mil_bench.extraction.plan import SlidePlan
from mil_bench.extraction.settings import NOMINAL_MPP, Settings

RECORD = "mil_bench_extraction"  # root attribute: the settings as JSON
UNREADABLE, BLANK = "unreadable_tiles", "blank_tiles"
ENOUGH_DIGITS = 4


@dataclass(frozen=True)
class Extracted:
    """Features ``(N, D)`` float32 of the tiles at ``coords`` ``(N, 2)``, row after row.

    ``bad`` ``(M, 2)`` are corners of tiles that could not be read; ``blank`` tiles were left out.
    """

    plan: SlidePlan
    features: NDArray[np.float32]
    coords: Coords
    bad: Coords
    blank: int


def write_bag(path: Path, found: Extracted, settings: Settings) -> None:
    """Write the file in one atomic step."""
    plan = found.plan
    where = {"name": plan.source.name, "savetodir": str(path.parent)}
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs[RECORD] = json.dumps(settings.record(plan.source))
        file.attrs.update({UNREADABLE: len(found.bad), BLANK: found.blank})
        features = file.create_dataset("features", data=found.features)
        features.attrs.update(
            {**where, "encoder": settings.encoder, "encoder_weights": settings.weights}
        )
        coords = file.create_dataset("coords", data=found.coords)
        coords.attrs.update({**where, **_geometry(plan, settings)})


@dataclass(frozen=True)
class Record:
    """What a finished file says: its settings (JSON) and its tiles."""

    settings: str
    tiles: int
    blank: int
    bad: int


def read_record(path: Path) -> Record:
    """Raises ``OSError`` or ``KeyError`` for a file that is damaged or was not written here."""
    with h5py.File(path, "r") as file:
        attrs = file.attrs
        counts = (len(file["features"]), int(attrs[BLANK]), int(attrs[UNREADABLE]))
        return Record(str(attrs[RECORD]), *counts)


def _geometry(plan: SlidePlan, settings: Settings) -> Mapping[str, Any]:
    step, tile = plan.tiling.step, settings.tile
    return {
        "patch_size": tile,
        "patch_size_level0": step,
        "level0_magnification": round(NOMINAL_MPP / plan.mpp, ENOUGH_DIGITS),
        "target_magnification": settings.magnification,
        "overlap": 0,
        "level0_width": plan.size[0],
        "level0_height": plan.size[1],
        "level0_mpp": plan.mpp,
        "mpp": plan.mpp * step / tile,
    }
