"""Bags in .npy files: torchmil, and plain NumPy arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mil_bench.bags.bag import Bag
from mil_bench.bags.formats import checks
from mil_bench.bags.formats.geometry import grid_step


def read_npy(path: Path) -> Bag:
    """The bag of a .npy file, with the coordinates of torchmil's parallel ``coords`` folder."""
    array = load_array(path)
    beside = torchmil_coords(path)
    xy = None if beside is None else load_array(beside)
    shape = checks.bag_shape(path, array.shape, None if xy is None else xy.shape)
    features = checks.bag_features(path, array, shape)
    if beside is None or xy is None:
        return Bag(features, writer="npy")
    coords = checks.bag_coords(beside, xy, shape[0])
    return Bag(features, coords, patch_size=grid_step(coords), writer="torchmil")


def torchmil_coords(path: Path) -> Path | None:
    """``../coords/<name>`` or ``../../coords/<name>``, whichever exists."""
    folders = path.parent.parent, path.parent.parent.parent
    candidates = (folder / "coords" / path.name for folder in folders)
    return next((c for c in candidates if c.is_file() and c != path), None)


def load_array(path: Path) -> NDArray[Any]:
    """One array of a .npy file or the key ``arr_0`` of an .npz file; pickles are refused."""
    checks.check_file(path)
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            array: NDArray[Any] = content["arr_0"] if path.suffix == ".npz" else content
            return array
    except ValueError as error:
        if "Object arrays" in str(error):
            raise checks.refuse(
                path,
                "holds pickled Python objects that would have to run code",
                "save it again as an array of numbers",
            ) from None
        reason = ValueError("no NumPy header") if "pickle" in str(error) else error
        raise checks.unreadable(path, "a NumPy file", reason) from None
    except Exception as error:  # a damaged zip raises errors of several libraries
        raise checks.unreadable(path, "a NumPy file", error) from None
