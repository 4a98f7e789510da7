"""Writing feature files exactly as TRIDENT and CLAM do (formats.md 1.1 and 1.2)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from mil_bench.simulation.plan import TileSize

FeatureRows = NDArray[np.floating]
Coords = NDArray[np.int64]
Writer = Callable[[str, FeatureRows, Coords], None]


def feature_folder(layout: str, encoder: str, tiles: TileSize) -> Path:
    """Return the folder of the files of ``layout``, relative to the root of the cohort."""
    if layout == "trident":
        job = f"{tiles.magnification}x_{tiles.patch_size}px_0px_overlap"
        return Path(job, f"features_{encoder}")
    return Path("features", encoder)


def trident_writer(folder: Path, encoder: str, tiles: TileSize) -> Writer:
    """Return a writer of ``<folder>/<slide>.h5`` with the attributes of TRIDENT, one row
    per chunk.
    """
    folder.mkdir(parents=True)

    def write(slide: str, features: FeatureRows, coords: Coords) -> None:
        width, height = coords.max(0) + tiles.size_level0
        where = {"name": slide, "savetodir": folder.name}
        with h5py.File(folder / f"{slide}.h5", "w") as file:
            bag = file.create_dataset("features", data=features, chunks=(1, features.shape[1]))
            bag.attrs.update({**where, "encoder": encoder})
            file.create_dataset("coords", data=coords, chunks=(1, 2)).attrs.update(
                {
                    **where,
                    "patch_size": tiles.patch_size,
                    "patch_size_level0": tiles.size_level0,
                    "level0_magnification": tiles.level0_magnification,
                    "target_magnification": tiles.magnification,
                    "overlap": 0,
                    "level0_width": int(width),
                    "level0_height": int(height),
                }
            )

    return write


def clam_writer(folder: Path, encoder: str, tiles: TileSize) -> Writer:
    """Return a writer of ``h5_files/<slide>.h5`` and ``pt_files/<slide>.pt``, without
    attributes.
    """
    for part in ("h5_files", "pt_files"):
        (folder / part).mkdir(parents=True)

    def write(slide: str, features: FeatureRows, coords: Coords) -> None:
        rows, dim = features.shape
        with h5py.File(folder / "h5_files" / f"{slide}.h5", "w") as file:
            file.create_dataset(
                "features", data=features, chunks=(min(32, rows), dim), maxshape=(None, dim)
            )
            file.create_dataset(
                "coords",
                data=coords.astype(np.int32),
                chunks=(min(32, rows), 2),
                maxshape=(None, 2),
            )
        torch.save(torch.from_numpy(features), folder / "pt_files" / f"{slide}.pt")

    return write


LAYOUTS: dict[str, Callable[[Path, str, TileSize], Writer]] = {
    "trident": trident_writer,
    "clam": clam_writer,
}
