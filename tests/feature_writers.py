"""Write feature folders as each tool does, from dictionaries of arrays (slide id -> array)."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

Arrays = Mapping[str, np.ndarray]


def random_bags(sizes: Mapping[str, int], dim: int = 8, dtype="float32", seed: int = 0):
    rng = np.random.default_rng(seed)
    return {slide: rng.normal(size=(n, dim)).astype(dtype) for slide, n in sizes.items()}


def grid_coords(n: int, step: float = 256, dtype="int64") -> np.ndarray:
    """The first ``n`` places of a grid four wide, top-left corners as ``(x, y)``."""
    return np.stack([np.arange(n) % 4 * step + 512, np.arange(n) // 4 * step], 1).astype(dtype)


def write_h5(
    path: Path,
    datasets: Mapping[str, Any],
    root_attrs: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Mapping[str, Any]] | None = None,
    rows_per_chunk: int | None = None,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update(root_attrs or {})
        for name, array in datasets.items():
            array = np.asarray(array)
            chunked = rows_per_chunk is not None and array.ndim == 2 and len(array) > 0
            layout = {"chunks": (rows_per_chunk, array.shape[1])} if chunked else {}
            layout |= {"maxshape": (None, array.shape[1])} if chunked else {}
            file.create_dataset(name, data=array, **layout).attrs.update(
                (attrs or {}).get(name, {})
            )
    return path


def write_pt(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def write_npy(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def write_clam(root: Path, features: Arrays, coords: Arrays | None = None, pt: bool = True) -> Path:
    """``h5_files/`` (when there are coordinates) and ``pt_files/``."""
    for slide, array in features.items():
        if coords is not None:
            data = {"features": array, "coords": coords[slide].astype("int32")}
            write_h5(root / "h5_files" / f"{slide}.h5", data, rows_per_chunk=1)
        if pt or coords is None:
            write_pt(root / "pt_files" / f"{slide}.pt", torch.from_numpy(array))
    return root


def write_trident(
    job: Path,
    features: Arrays,
    coords: Arrays,
    encoder: str = "uni_v1",
    grid: str = "20x_256px_0px_overlap",
    prefix: str = "features_",
    patch_size_level0: float = 256,
) -> Path:
    """A TRIDENT job folder: patches beside the features of one encoder; one row per chunk."""
    where = {"patch_size": 256, "patch_size_level0": patch_size_level0, "overlap": 0}
    where |= {"level0_magnification": 40, "target_magnification": 20, "level0_width": "None"}
    for slide, array in features.items():
        write_h5(
            job / grid / f"{prefix}{encoder}" / f"{slide}.h5",
            {"features": array, "coords": coords[slide].astype("int64")},
            attrs={"features": {"encoder": encoder, "name": slide}, "coords": where},
            rows_per_chunk=1,
        )
        patches = {"coords": coords[slide]}
        write_h5(job / grid / "patches" / f"{slide}_patches.h5", patches, attrs={"coords": where})
    return job


def write_stamp(
    root: Path,
    features: Arrays,
    coords: Arrays,
    extractor: str = "uni2",
    attrs: Mapping[str, Any] | None = None,
) -> Path:
    """STAMP's folder with nested slides; ``attrs`` replaces the current root attributes."""
    current = {"stamp_version": "2.5.0", "extractor": extractor, "unit": "um", "feat_type": "tile"}
    current |= {"tile_size_um": 256.0, "tile_size_px": 224, "code_hash": "1a2b3c4d" * 8}
    for slide, array in features.items():
        data = {"feats": array, "coords": coords[slide].astype("float32")}
        path = root / f"{extractor}-1a2b3c4d" / f"{slide}.h5"
        write_h5(path, data, current if attrs is None else attrs)
    return root


def write_eva(root: Path, parts: Mapping[str, list[np.ndarray]]) -> Path:
    """A manifest with one row per part of a slide; each file a list of ``(D,)`` tensors."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["origin", "embeddings", "target", "split", "wsi_id"])
        for slide, arrays in parts.items():
            for number, array in enumerate(arrays):
                name = f"train_images/{slide}_{number}.pt"
                write_pt(root / name, list(torch.from_numpy(array)))
                table.writerow([f"{slide}.tiff", name, 0, "train", slide])
    return root


def write_slideflow(root: Path, features: Arrays, centres: Arrays, suffix: str = ".npz") -> Path:
    """``<slide>.pt`` with tile centres beside it and ``bags_config.json``."""
    for slide, array in features.items():
        write_pt(root / f"{slide}.pt", torch.from_numpy(array))
        index = root / f"{slide}.index{suffix}"
        np.savez(index, centres[slide]) if suffix == ".npz" else np.save(index, centres[slide])
    config = {"extractor": {"class": "slideflow.model.extractors.resnet50"}, "tile_um": "20x"}
    (root / "bags_config.json").write_text(json.dumps(config))
    return root


def write_torchmil(
    root: Path, features: Arrays, coords: Arrays | None = None, encoder: str = "resnet50"
) -> Path:
    """``patches_512/features/features_<encoder>/`` with parallel ``coords/`` and ``labels/``."""
    patches = root / "patches_512"
    for slide, array in features.items():
        write_npy(patches / "features" / f"features_{encoder}" / f"{slide}.npy", array)
        write_npy(patches / "labels" / f"{slide}.npy", np.array([1]))
        if coords is not None:
            write_npy(patches / "coords" / f"{slide}.npy", coords[slide])
    return root
