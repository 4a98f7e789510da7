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
from mil_bench.base.errors import FeatureError
from mil_bench.contract.store import Bag


def read_npy(path: Path) -> Bag:
    """Read the bag of a .npy file, with coordinates of torchmil's parallel ``coords`` folder."""
    array = load_array(path)
    coords_file = torchmil_coords(path)
    xy = None if coords_file is None else load_array(coords_file)
    shape = checks.bag_shape(path, array.shape, None if xy is None else xy.shape)
    features = checks.bag_features(path, array, shape)
    vector = checks.is_vector(array.shape)
    if coords_file is None or xy is None or vector:
        return Bag(features, writer="npy", whole_slide=vector)
    coords = checks.bag_coords(coords_file, xy, shape[0])
    return Bag(features, coords, patch_size=grid_step(coords), writer="torchmil")


def read_npz(path: Path) -> Bag:
    """Read the bag of an .npz file: a known key, as slide2vec writes them."""
    checks.check_file(path)
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files if name in _KEYS}
            names = content.files
    except Exception as error:  # a damaged zip raises errors of several libraries
        raise _not_numpy(path, error) from None
    key = next((key for key in _KEYS if key in arrays), None)
    if key is None:
        raise checks.unknown_keys(path, names)
    array, whole_slide = arrays[key], _whole_slide(key, arrays[key].shape)
    shape = checks.bag_shape(path, array.shape)
    if whole_slide:
        checks.one_vector(path, shape[0], f"`{key}` is the embedding of a slide")
    return Bag(checks.bag_features(path, array, shape), writer="npz", whole_slide=whole_slide)


_KEYS = (*checks.FEATURE_KEYS, *checks.SLIDE_KEYS)


def _whole_slide(key: str, shape: Sequence[int]) -> bool:
    return key in checks.SLIDE_KEYS or checks.is_vector(shape)


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
    except Exception as error:  # a damaged zip raises errors of several libraries
        raise _not_numpy(path, error) from None


def _not_numpy(path: Path, error: Exception) -> FeatureError:
    """Why NumPy cannot read a file; it has one class for pickled, damaged and foreign ones."""
    if "Object arrays" in str(error):
        return checks.refuse(
            path,
            "holds pickled Python objects, which could run code",
            "save it again as an array of numbers",
        )
    foreign = isinstance(error, ValueError) and "pickle" in str(error)
    reason = ValueError("no NumPy header") if foreign else error
    return checks.unreadable(path, "a NumPy file", reason)


# Bags saved by ``torch.save``: CLAM, HMIL, TransMIL, MIL_BASELINE, eva and slideflow.

SLIDEFLOW_CONFIG = "bags_config.json"
# Three releases of torch word this differently.
_UNSAFE_GLOBAL = re.compile(r"(?:GLOBAL|global|class|type) '?([\w.]+\.[\w.]+)")


def read_pt(path: Path) -> Bag:
    """Read the bag of a .pt file: a tensor, a list of tensors or a dict with a known key.

    Only tensors are loaded (``weights_only``); a file that would run code is refused.
    """
    content = load_tensors(path)
    coords: NDArray[Any] | None = None
    declared = None
    if isinstance(content, Mapping):
        declared, features, coords = _from_dict(path, content)
    elif isinstance(content, Sequence):
        features = _stack(path, content)
    else:
        features = tensor_array(path, content)
    if declared or checks.is_vector(features.shape):
        shape = checks.bag_shape(path, features.shape)
        checks.one_vector(path, shape[0], f"`{declared}` is the embedding of a slide")
        features = checks.bag_features(path, features, shape)
        return Bag(features, writer=_writer(content), whole_slide=True)
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
        content = load_tensors(path)
        many = isinstance(content, Sequence)
        array = _stack(path, content) if many else tensor_array(path, content)
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


def load_tensors(path: Path) -> Any:
    """Return the content of a ``torch.save`` file: tensors in lists and dicts, nothing else.

    Raises ``FeatureError`` for a damaged file and for one that would run code.
    """
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


def _from_dict(
    path: Path, content: Mapping[Any, Any]
) -> tuple[str | None, NDArray[Any], NDArray[Any] | None]:
    """The key of a slide embedding, if it is one; features; coordinates."""
    key = next((k for k in _KEYS if k in content), None)
    if key is None:
        raise checks.unknown_keys(path, sorted(map(str, content)))
    features, coords = tensor_array(path, content[key]), content.get("coords")
    if _whole_slide(key, features.shape):
        return key, features, None
    return None, features, None if coords is None else tensor_array(path, coords)


def _stack(path: Path, tensors: Sequence[Any]) -> NDArray[Any]:
    """``(D,)`` tensors are patches; ``(n, D)`` tensors are runs of patches."""
    if not len(tensors):
        raise checks.refuse(path, "an empty bag (a list without tensors)", checks.LEAVE_OUT)
    arrays = [tensor_array(path, t) for t in tensors]
    return _concatenate(path, [a[np.newaxis] if a.ndim == 1 else a for a in arrays])


def _concatenate(path: Path, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    widths = sorted({p.shape[1:] for p in parts})
    if len(widths) > 1:
        raise checks.refuse(
            path, f"patches of different shapes {widths[:3]}", "expected one length for all"
        )
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def tensor_array(path: Path, value: Any) -> NDArray[Any]:
    """Return a dense tensor as an array; bfloat16 becomes float32. Raises ``FeatureError``."""
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
