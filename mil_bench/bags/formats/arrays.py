"""Bags in .npy files: torchmil, and plain NumPy arrays."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mil_bench.bags.formats import checks
from mil_bench.bags.formats.h5 import grid_step
from mil_bench.bags.formats.names import canonical_encoder
from mil_bench.contract.store import Bag


def read_npy(path: Path) -> Bag:
    """Read the bag of a .npy file, with coordinates of torchmil's parallel ``coords`` folder."""
    array = load_array(path)
    coords_file = torchmil_coords(path)
    xy = None if coords_file is None else load_array(coords_file)
    shape = checks.bag_shape(path, array.shape, None if xy is None else xy.shape)
    features = checks.bag_features(path, array, shape)
    if coords_file is None or xy is None:
        return Bag(features, writer="npy")
    coords = checks.bag_coords(coords_file, xy, shape[0])
    return Bag(features, coords, patch_size=grid_step(coords), writer="torchmil")


def torchmil_coords(path: Path) -> Path | None:
    """Return ``../coords/<name>`` or ``../../coords/<name>``, whichever exists."""
    folders = path.parent.parent, path.parent.parent.parent
    candidates = (folder / "coords" / path.name for folder in folders)
    # `coords/coords` would find itself.
    return next((c for c in candidates if c.is_file() and c != path), None)


def load_array(path: Path) -> NDArray[Any]:
    """Read the array of a .npy file or ``arr_0`` of an .npz file; pickles are refused."""
    checks.check_file(path)
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            array: NDArray[Any] = content["arr_0"] if path.suffix == ".npz" else content
            return array
    except ValueError as error:  # NumPy has one class for pickled, damaged and foreign files
        if "Object arrays" in str(error):
            raise checks.refuse(
                path,
                "holds pickled Python objects, which could run code",
                "save it again as an array of numbers",
            ) from None
        reason = ValueError("no NumPy header") if "pickle" in str(error) else error
        raise checks.unreadable(path, "a NumPy file", reason) from None
    except Exception as error:  # a damaged zip raises errors of several libraries
        raise checks.unreadable(path, "a NumPy file", error) from None


# Bags saved by ``torch.save``: CLAM, HMIL, TransMIL, MIL_BASELINE, eva and slideflow.

SLIDEFLOW_CONFIG = "bags_config.json"
# Three releases of torch word this differently.
_UNSAFE_GLOBAL = re.compile(r"(?:GLOBAL|global|class|type) '?([\w.]+\.[\w.]+)")


def read_pt(path: Path) -> Bag:
    """Read the bag of a .pt file: a tensor, a list of tensors or a dict with a known key.

    Only tensors are loaded (``weights_only``); a file that would run code is refused.
    """
    content = _load(path)
    coords: NDArray[Any] | None = None
    if isinstance(content, Mapping):
        features, coords = _from_dict(path, content)
    elif isinstance(content, Sequence):
        features = _stack(path, content)
    else:
        features = _array(path, content)
    index = slideflow_index(path)
    if index is not None:
        coords = load_array(index)
    shape = checks.bag_shape(path, features.shape, None if coords is None else coords.shape)
    features = checks.bag_features(path, features, shape)
    if coords is not None:
        coords = checks.bag_coords(path, coords, shape[0])
    if index is not None:
        encoder = slideflow_encoder(path.parent)
        step = grid_step(coords)
        return Bag(features, coords, "level0_px", "center", step, encoder, "slideflow")
    return Bag(features, coords, patch_size=grid_step(coords), writer=_writer(content))


def read_eva(paths: Sequence[Path]) -> Bag:
    """Read one slide of an eva manifest: its files in sequence, without coordinates.

    eva does not keep the order of the tiles, so coordinates cannot be assigned to them. A file may
    hold a single patch as ``(D,)``.
    """
    parts = []
    for path in paths:
        content = _load(path)
        many = isinstance(content, Sequence)
        array = _stack(path, content) if many else _array(path, content)
        array = array[np.newaxis] if array.ndim == 1 and len(array) else array  # one patch
        parts.append(checks.bag_features(path, array, checks.bag_shape(path, array.shape)))
    return Bag(_concatenate(paths[0], parts), writer="eva")


def slideflow_index(path: Path) -> Path | None:
    """Return the file of tile centres that slideflow writes next to ``path``, if it exists."""
    candidates = (path.with_name(f"{path.stem}.index{suffix}") for suffix in (".npz", ".npy"))
    return next((c for c in candidates if c.is_file()), None)


def slideflow_encoder(folder: Path) -> str | None:
    """Return the extractor of slideflow's ``bags_config.json``, a class without its module."""
    try:
        extractor = json.loads((folder / SLIDEFLOW_CONFIG).read_text())["extractor"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if isinstance(extractor, dict):
        extractor = extractor.get("class")
    # `module.Class` -> `Class`.
    return canonical_encoder(extractor.rpartition(".")[2]) if isinstance(extractor, str) else None


def _load(path: Path) -> Any:
    checks.check_file(path)
    try:
        # weights_only: tensors and plain containers, no code.
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        unsafe = _UNSAFE_GLOBAL.search(str(error))
        if unsafe is None:
            reason = ValueError("its pickle cannot be parsed")
            raise checks.unreadable(path, "a torch.save file", reason) from None
        raise checks.refuse(
            path,
            f"holds a pickled Python object ({unsafe[1]}), which could run code",
            "save the array again as .npy, or as a plain tensor with torch.save",
        ) from None
    except Exception as error:  # a damaged file makes the unpickler raise anything
        raise checks.unreadable(path, "a torch.save file", error) from None


def _from_dict(path: Path, content: Mapping[Any, Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    key = next((k for k in checks.FEATURE_KEYS if k in content), None)
    if key is None:
        raise checks.unknown_keys(path, sorted(map(str, content)))
    coords = content.get("coords")
    return _array(path, content[key]), None if coords is None else _array(path, coords)


def _stack(path: Path, tensors: Sequence[Any]) -> NDArray[Any]:
    """``(D,)`` tensors are patches; ``(n, D)`` tensors are runs of patches."""
    if not len(tensors):
        raise checks.refuse(path, "an empty bag (a list without tensors)", checks.LEAVE_OUT)
    arrays = [_array(path, t) for t in tensors]
    return _concatenate(path, [a[np.newaxis] if a.ndim == 1 else a for a in arrays])


def _concatenate(path: Path, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    widths = sorted({p.shape[1:] for p in parts})
    if len(widths) > 1:
        raise checks.refuse(
            path, f"patches of different shapes {widths[:3]}", "expected one length for all"
        )
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _array(path: Path, value: Any) -> NDArray[Any]:
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        raise checks.refuse(
            path,
            f"features of type {getattr(value, 'layout', type(value).__name__)}",
            "expected a dense tensor (N, D)",
        )
    value = value.detach()
    # NumPy has no bfloat16.
    array: NDArray[Any] = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return array


def _writer(content: Any) -> str:
    # By what each tool saves: a dict, a tensor, a list of tensors.
    if isinstance(content, Mapping):
        return "mil_baseline"
    return "clam" if isinstance(content, torch.Tensor) else "eva"
