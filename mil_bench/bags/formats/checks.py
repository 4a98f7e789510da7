"""Checks of every reader: an array is a bag of features, or an error says why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import FeatureError

FEATURE_KEYS = ("features", "feats", "patch_embeddings", "embeddings", "feat")
# Embeddings of slides: PRISM's output, the last layer of GigaPath's, CHIEF's, and plain names.
SLIDE_KEYS = (
    *("image_embedding", "last_layer_embed", "WSI_feature"),
    *("slide_embedding", "slide_embeddings", "embedding"),
)
EXTRACT_AGAIN = "extract the features of this slide again"
LEAVE_OUT = "remove the file and use --allow-missing, or extract the slide again"


def refuse(path: Path, fault: str, advice: str) -> FeatureError:
    """Return the error of a file that is not a bag: its fault and what to do."""
    return FeatureError(f"{path}: {fault}; {advice}.")


def check_file(path: Path) -> None:
    """Raise ``FeatureError`` for what is not a non-empty regular file."""
    if not path.exists():
        raise refuse(path, "there is no such file", "check the path")
    if is_zarr(path):
        raise refuse(
            path,
            "this is a zarr folder (LazySlide, SpatialData), which mil-bench does not read",
            "export its tile features, one .h5 or .npy file per slide",
        )
    if not path.is_file():
        raise refuse(path, "this is a folder", "pass one feature file")
    if path.stat().st_size == 0:
        raise refuse(path, "the file is empty (0 bytes)", EXTRACT_AGAIN)


def is_zarr(folder: Path) -> bool:
    """Return whether ``folder`` is a zarr store, the format of LazySlide and SpatialData."""
    return folder.is_dir() and (
        folder.suffix == ".zarr" or any((folder / n).is_file() for n in (".zgroup", "zarr.json"))
    )


def pickled(path: Path) -> FeatureError:
    """Return the error of a pickle, which is never opened because it can run any code."""
    return refuse(
        path,
        "this is a pickle, which can run code when it is opened, so mil-bench never opens one",
        "convert it once to .npz, on a machine where you trust its source (docs/extraction.md)",
    )


def unreadable(path: Path, kind: str, error: Exception) -> FeatureError:
    """Return the error of a file that its library cannot open as ``kind`` ("an HDF5 file")."""
    # The text of a KeyError is a bare key.
    lines = [] if isinstance(error, KeyError) else str(error).splitlines()
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    if isinstance(error, PermissionError):
        return refuse(path, "the file cannot be read (permission denied)", "change its permissions")
    return refuse(path, f"truncated, damaged or not {kind} ({reason})", EXTRACT_AGAIN)


def unknown_keys(path: Path, keys: Sequence[str]) -> FeatureError:
    """Return the error of a container without features: a patch file, or unknown keys."""
    if "imgs" in keys:  # before "coords": these files have both
        return refuse(
            path,
            "a legacy CLAM file of patch images ('imgs'), not of features",
            "run the feature extraction on it and use its output",
        )
    if "coords" in keys:
        return refuse(
            path,
            "a patch file: it holds coordinates but no features",
            "run the feature extraction and use its output folder",
        )
    names = ", ".join(map(repr, keys[:12])) or "nothing"
    known = ", ".join((*FEATURE_KEYS, *SLIDE_KEYS))
    return refuse(path, f"no features, only {names}", f"expected one of {known}")


def bag_shape(
    path: Path, shape: Sequence[int], coords: Sequence[int] | None = None
) -> tuple[int, int]:
    """Return ``(N, D)`` of features stored with ``shape`` and coordinates of shape ``coords``.

    A leading dimension of one is dropped. A vector is the embedding of a slide, ``(1, D)``, without
    coordinates. Empty bags and several bags in one array raise ``FeatureError``.
    """
    size = tuple(shape)
    if is_vector(size):
        return 1, size[0]
    if len(size) == 3 and size[0] == 1:  # a batch of one, as some tools save
        size = size[1:]
    if len(size) in (1, 2) and size[0] == 0:
        raise refuse(path, f"an empty bag (features of shape {tuple(shape)})", LEAVE_OUT)
    if len(size) == 3:
        raise refuse(
            path, f"{size[0]} bags in one array of shape {size}", "save one file per slide, (N, D)"
        )
    if len(size) != 2 or size[1] == 0:
        raise refuse(path, f"features of shape {tuple(shape)}", "expected (N, D)")
    if coords is not None and coords_length(path, coords, size[0]) != size[0]:
        raise refuse(
            path,
            f"{size[0]} feature rows but {coords_length(path, coords, size[0])} coordinates",
            "expected as many; was the extraction interrupted?",
        )
    return size[0], size[1]


def is_vector(shape: Sequence[int]) -> bool:
    """Return whether an array of ``shape`` is one vector ``(D,)``, the embedding of a slide."""
    return len(shape) == 1 and shape[0] > 0


def one_vector(path: Path, rows: int, why: str) -> None:
    """Raise ``FeatureError`` unless a file of slide embeddings holds one vector.

    ``why`` says how the file declares that it is one.
    """
    if rows != 1:
        raise refuse(
            path,
            f"{rows} vectors, but {why}",
            "expected one vector per slide, of shape (D,) or (1, D)",
        )


def coords_length(path: Path, shape: Sequence[int], patches: int) -> int:
    """Number of coordinates stored as ``(N, 2)``, ``(1, N, 2)`` or, for one patch, ``(2,)``."""
    size = tuple(shape)
    if len(size) == 3 and size[0] == 1:
        size = size[1:]
    if size == (2,) and patches == 1:
        return 1
    if len(size) != 2 or size[1] != 2:
        raise refuse(path, f"coordinates of shape {tuple(shape)}", "expected (N, 2) as (x, y)")
    return size[0]


def bag_features(path: Path, array: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.floating]:
    """Return the features as ``(N, D)`` float16 or float32; NaN, Inf and text are refused."""
    if array.dtype.kind not in "fiu":  # bool, text and objects are refused
        raise refuse(path, f"features of type {array.dtype}", "expected floating-point numbers")
    features = array.reshape(shape)
    if features.dtype not in (np.float16, np.float32):
        with np.errstate(over="ignore"):  # what overflows is reported as Inf below
            features = features.astype(np.float32)
    bad = _not_finite(features)
    if bad.any():
        raise refuse(
            path,
            f"NaN or Inf in {int(bad.sum())} of {shape[0]} patches (first: {int(bad.argmax())})",
            EXTRACT_AGAIN,
        )
    return np.ascontiguousarray(features)


def bag_coords(path: Path, array: NDArray[Any], patches: int) -> NDArray[Any]:
    """Return the coordinates as ``(N, 2)`` finite numbers."""
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise refuse(path, "coordinates that are not finite numbers", EXTRACT_AGAIN)
    return np.ascontiguousarray(array.reshape(patches, 2))


def _not_finite(features: NDArray[np.floating]) -> NDArray[np.bool_]:
    """``(N,)``: rows with NaN or Inf. By the exponent bits in float16, 20 times faster there."""
    if features.dtype != np.float16:
        good: NDArray[np.bool_] = np.isfinite(features).all(axis=1)
        return ~good
    # NumPy converts float16 to test it. Without the sign, bit patterns are in the order of the
    # numbers, infinity above all of them and NaN above infinity.
    infinity = 0x7C00
    magnitude = np.ascontiguousarray(features).view(np.uint16) & 0x7FFF  # sign bit off
    bad: NDArray[np.bool_] = magnitude.max(axis=1) >= infinity
    return bad
