"""One bag in the layouts it may lie on a disk in, and how each is read into a float32 tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.bags.cache.index import Cache
from mil_bench.bags.cache.writer import PackWriter
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.placement import Placement
from mil_bench.contract.store import Bag, BagStore
from mil_bench.simulation.plan import TileSize
from mil_bench.simulation.simulate import LAYOUTS

CPU = torch.device("cpu")
SLIDE, ENCODER = "slide", "synthetic"
TILES = TileSize(patch_size=256, magnification=20, level0_magnification=40)

Read = Callable[[], Tensor]
Array = NDArray[np.floating]


def readers(features: Array, folder: Path) -> dict[str, Read]:
    """Write ``(N, D)`` float32 ``features`` in every layout; name of the layout -> its reader.

    A reader opens its file, unless its name says "open": then the file is open, as from the second
    bag of a run on.
    """
    half = features.astype(np.float16)
    coords = np.stack([np.arange(len(features)) * 512, np.zeros(len(features), np.int64)], 1)
    for layout in ("trident", "clam"):
        LAYOUTS[layout](folder / layout, ENCODER, TILES)(SLIDE, features, coords)
    for array in (features, half):
        np.save(folder / f"{array.dtype}.npy", array)
        with h5py.File(folder / f"{array.dtype}.h5", "w") as file:
            file["features"] = array
    return {
        "TRIDENT h5, chunks (1, D)": h5_reader(folder / "trident" / f"{SLIDE}.h5"),
        "torch.save .pt": pt_reader(folder / "clam" / "pt_files" / f"{SLIDE}.pt"),
        "CLAM h5, chunks (32, D)": h5_reader(folder / "clam" / "h5_files" / f"{SLIDE}.h5"),
        "contiguous h5": h5_reader(folder / "float32.h5"),
        "contiguous h5, float16": h5_reader(folder / "float16.h5"),
        ".npy": npy_reader(folder / "float32.npy"),
        ".npy, float16": npy_reader(folder / "float16.npy"),
        **packed_readers("packed", pack({SLIDE: features}, folder / "packed32")),
        **packed_readers("packed float16", pack({SLIDE: half}, folder / "packed16")),
    }


def h5_reader(path: Path) -> Read:
    """Return ``features`` of an HDF5 file."""

    def read() -> Tensor:
        with h5py.File(path, "r") as file:
            return torch.from_numpy(file["features"][:]).float()

    return read


def pt_reader(path: Path) -> Read:
    """Return a tensor saved by PyTorch."""
    return lambda: torch.load(path, weights_only=True).float()


def npy_reader(path: Path) -> Read:
    """Return an array saved by NumPy, read as a whole."""
    return lambda: torch.from_numpy(np.load(path)).float()


def packed_readers(name: str, folder: Path) -> dict[str, Read]:
    """Return a packed cache: opened for one bag, opened before, and kept in RAM."""
    return {
        f"{name}, opened for it": lambda: packed_read(open_packed(folder), "none")(),
        f"{name}, open already": packed_read(open_packed(folder), "none"),
        f"{name}, --placement ram": packed_read(open_packed(folder), "ram"),
    }


def packed_read(store: BagStore, home: Placement) -> Read:
    """Return what the loader of a training run does for one bag."""
    bags = DeviceBags(store, CPU, placement=home)
    return lambda: bags.batch([SLIDE]).features


def pack(bags: dict[str, Array], folder: Path) -> Path:
    """Return a packed cache of ``bags`` in ``folder``, as packing feature files leaves it."""
    folder.mkdir(parents=True)
    with PackWriter(folder, ENCODER) as writer:
        for slide, features in bags.items():
            writer.add(slide, Bag(features), stamp=())
    return folder


def open_packed(folder: Path) -> BagStore:
    """Return the store of all bags of a packed cache."""
    cache = Cache(folder)
    return cache.store(cache.index.bags)
