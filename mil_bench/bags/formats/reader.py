"""From a path to a bag, whichever tool wrote it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mil_bench.bags.formats import checks
from mil_bench.bags.formats.arrays import (
    read_eva,
    read_npy,
    read_npz,
    read_pt,
    slideflow_index,
    torchmil_coords,
)
from mil_bench.bags.formats.h5 import read_h5
from mil_bench.bags.formats.names import FEATURE_SUFFIXES, PICKLES, slide_folder
from mil_bench.contract.store import Bag


def read_bag(path: Path) -> Bag:
    """Read the bag of one feature file of any known format.

    Features come back as ``(N, D)`` float16 or float32 (other types are converted to float32),
    coordinates as ``(N, 2)`` with unit, anchor and patch size as the writer defines them. The
    embedding of a slide is a bag of one. Raises ``FeatureError`` with the reason for everything
    that is not a bag of features.
    """
    checks.check_file(path)
    bag = _read(path)
    if slide_folder(path.parent.name) is None or bag.whole_slide:
        return bag
    checks.one_vector(path, len(bag), f"{path.parent.name} is a folder of slide embeddings")
    return replace(bag, coords=None, patch_size=None, whole_slide=True)


def _read(path: Path) -> Bag:
    match path.suffix.lower():
        case ".h5" | ".hdf5":
            return read_h5(path)
        case ".pt" | ".pth":
            return read_pt(path)
        case ".npy":
            return read_npy(path)
        case ".npz":
            return read_npz(path)
    if path.suffix.lower() in PICKLES:
        raise checks.pickled(path)
    raise checks.refuse(
        path,
        f"no feature file has the ending {path.suffix!r}",
        f"expected one of {', '.join(FEATURE_SUFFIXES)}",
    )


@dataclass(frozen=True)
class BagSource:
    """Place of one bag on disk: a file, or the files of an eva manifest."""

    paths: tuple[Path, ...]
    layout: Literal["file", "eva"] = "file"

    def read(self) -> Bag:
        """Read the bag. Raises ``FeatureError`` as :func:`read_bag` does."""
        return read_eva(self.paths) if self.layout == "eva" else read_bag(self.paths[0])

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Return ``(path, size, mtime_ns)`` of every file that the bag depends on."""
        # Coordinates beside it: a change of them changes the bag.
        files = [*self.paths, *self._companions()]
        try:
            stats = [(file, file.stat()) for file in files]
        except OSError as error:
            raise checks.refuse(
                Path(error.filename), f"cannot be read ({error.strerror})", "restore the file"
            ) from None
        return tuple((str(file), s.st_size, s.st_mtime_ns) for file, s in stats)

    def _companions(self) -> list[Path]:
        path = self.paths[0]
        if self.layout != "file":
            return []
        beside = torchmil_coords(path) if path.suffix == ".npy" else None
        if path.suffix in (".pt", ".pth"):
            beside = slideflow_index(path)
        return [beside] if beside else []
