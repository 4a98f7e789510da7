"""``mil-bench data simulate``: a cohort without patients, in the files a real one comes in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.progress import track

from mil_bench.bags.labels.cohort import SIMULATED
from mil_bench.bags.labels.instances import INSTANCES, write_instances
from mil_bench.base.errors import ConfigError, DataError, UnknownNameError
from mil_bench.base.version import __version__
from mil_bench.contract.manifest import check_id
from mil_bench.simulation.bracs import plan_bracs
from mil_bench.simulation.ccc import plan_ccc
from mil_bench.simulation.panda import plan_panda
from mil_bench.simulation.plan import FEWEST_PATCHES, CohortPlan, TileSize
from mil_bench.simulation.signal import NO_WITNESS, Signal, draw_coords, draw_witnesses

PLANS: dict[str, Callable[..., CohortPlan]] = {
    "bracs": plan_bracs,
    "panda": plan_panda,
    "ccc": plan_ccc,
}


def simulate(
    like: str,
    out: Path,
    *,
    slides: int | None = None,
    dim: int = 64,
    seed: int = 0,
    layout: str = "trident",
    max_patches: int | None = None,
    **cohort: Any,
) -> None:
    """Write a simulated cohort in the on-disk form of ``like`` (bracs, panda, ccc) into ``out``.

    ``slides`` and ``max_patches`` (largest bag; all bags shrink alike) default to those of the
    real cohort; ``dim`` is the feature dimension and ``cohort`` holds options of one cohort
    (``leak`` of BRACS). The folder is marked by ``SIMULATED.json`` before anything else is
    written, so whatever is read from it is tagged ``simulated``. The files of an earlier
    simulation in ``out`` are replaced; a folder with other content only is a ``DataError``.
    """
    _check(like, layout, dim, max_patches)
    rng = np.random.default_rng(seed)
    plan = PLANS[like](rng, slides, **cohort)
    options = {"slides": slides, "dim": dim, "layout": layout, "max_patches": max_patches, **cohort}
    encoder = f"simulated{dim}"
    folder = feature_folder(layout, encoder, plan.tiles)
    mark = {
        "like": like,
        "seed": seed,
        "version": __version__,
        "options": options,
        "files": [*plan.tables, INSTANCES, folder.parts[0]],
    }
    _claim(out, mark)
    _write_tables(out, plan.tables)
    sizes = plan.sizes.draw(rng, len(plan.slides), max_patches)
    signal = Signal.draw(plan.taxonomy, dim, seed)
    write = LAYOUTS[layout](out / folder, encoder, plan.tiles)
    lesions: dict[str, dict[int, str]] = {}
    tile = plan.tiles.size_level0
    rows = plan.slides[["slide_id", "label", "patient", "site"]].itertuples(name=None)
    for i, slide, label, patient, site in track(
        rows, f"simulating {like}", total=len(plan.slides), transient=True
    ):
        # One generator per slide: a slide does not depend on those before it.
        own = np.random.default_rng([seed, 0, i])
        coords = draw_coords(own, sizes[i], tile)
        witnesses = draw_witnesses(own, plan.taxonomy.index(label), coords, tile)
        features = signal.bag(own, witnesses, patient, site)
        write(slide, features.astype(np.float16), coords)
        marked = np.flatnonzero(witnesses != NO_WITNESS)
        lesions[slide] = {int(r): plan.taxonomy.leaves[witnesses[r]] for r in marked}
    write_instances(out, lesions)


def _check(like: str, layout: str, dim: int, max_patches: int | None) -> None:
    if like not in PLANS:
        raise UnknownNameError("cohort to simulate", like, PLANS)
    if layout not in LAYOUTS:
        raise UnknownNameError("feature layout", layout, LAYOUTS)
    if dim < 1:
        raise ConfigError(f"dim={dim} is not a feature dimension; choose at least 1.")
    if max_patches is not None and max_patches < FEWEST_PATCHES:
        raise ConfigError(
            f"max_patches={max_patches} is too few; choose at least {FEWEST_PATCHES}."
        )


def _claim(out: Path, mark: Mapping[str, Any]) -> None:
    """Mark ``out`` as a simulation and remove the files of an earlier one, and only those."""
    if out.is_file():
        raise DataError(f"{out} is a file; choose a new folder for the simulated cohort.")
    if (out / SIMULATED).is_file():
        earlier = json.loads((out / SIMULATED).read_text(encoding="utf-8"))
        for name in earlier.get("files", ()):
            # A name of the mark must not lead out of the folder.
            _remove(out / Path(check_id(name)).name)
    elif out.is_dir() and any(out.iterdir()):
        raise DataError(
            f"{out} is not empty and not a simulation (it has no {SIMULATED}); choose a new "
            "folder; nothing was written."
        )
    out.mkdir(parents=True, exist_ok=True)
    # First of all files: an interrupted simulation is marked, too.
    (out / SIMULATED).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():  # a link is removed, not what it leads to
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_tables(out: Path, tables: Mapping[str, Mapping[str, pd.DataFrame]]) -> None:
    for name, sheets in tables.items():
        if name.endswith(".csv"):
            sheets[""].to_csv(out / name, index=False)
            continue
        with pd.ExcelWriter(out / name) as book:
            for sheet, table in sheets.items():
                # The second sheet has two header rows among its rows.
                named = isinstance(table.columns[0], str)
                table.to_excel(book, sheet_name=sheet, index=False, header=named)


# Writing feature files exactly as TRIDENT and CLAM do.

FeatureRows = NDArray[np.floating]
PatchCorners = NDArray[np.int64]
Writer = Callable[[str, FeatureRows, PatchCorners], None]


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

    def write(slide: str, features: FeatureRows, coords: PatchCorners) -> None:
        width, height = coords.max(0) + tiles.size_level0
        where = {"name": slide, "savetodir": folder.name}
        with h5py.File(folder / f"{slide}.h5", "w") as file:
            # One row per chunk, as TRIDENT writes.
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

    def write(slide: str, features: FeatureRows, coords: PatchCorners) -> None:
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
