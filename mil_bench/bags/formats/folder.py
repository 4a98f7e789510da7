"""Feature files under a folder, whichever tool laid it out."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mil_bench.bags.formats import checks
from mil_bench.bags.formats.arrays import SLIDEFLOW_CONFIG, slideflow_encoder
from mil_bench.bags.formats.h5 import h5_encoder
from mil_bench.bags.formats.names import (
    FEATURE_SUFFIXES,
    PICKLES,
    UNKNOWN,
    canonical_encoder,
    is_known_encoder,
    slide_folder,
)
from mil_bench.bags.formats.reader import BagSource
from mil_bench.base.errors import DataError, FeatureError, UnknownNameError, counted
from mil_bench.contract.manifest import check_id

MANIFEST = "manifest.csv"
COLUMNS = {"origin", "embeddings"}


def is_eva(folder: Path) -> bool:
    """Return whether ``folder`` has a manifest with eva's columns."""
    path = folder / MANIFEST
    if not path.is_file():
        return False
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return set(next(csv.reader(file), [])) >= COLUMNS  # only the header is read


def read_manifest(folder: Path) -> dict[str, BagSource]:
    """Return the files of every slide by its name, in the order of the manifest.

    Rows of one ``wsi_id`` are one slide; without that column every row is a slide named after its
    file. Raises ``FeatureError`` for a path that leaves the folder.
    """
    files: dict[str, list[Path]] = {}
    with (folder / MANIFEST).open(newline="", encoding="utf-8", errors="replace") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            name = row["embeddings"] or ""
            try:
                check_id(name)  # refuses a path outside of the folder
            except DataError as error:
                raise FeatureError(f"{folder / MANIFEST}, line {number}: {error}") from None
            # A slide may have several files.
            slide = row.get("wsi_id") or Path(name).with_suffix("").as_posix()
            files.setdefault(slide, []).append(folder / name)
    return {slide: BagSource(tuple(paths), "eva") for slide, paths in files.items()}


# Find the feature files under a folder, whichever tool laid it out.

_FEATURES = re.compile(r"(?:patch_)?features_(?P<encoder>.+)")  # TRIDENT, torchmil
_STAMP = re.compile(r"(?P<encoder>.+)-[0-9a-f]{8}")
_NO_BAGS = {
    *("patches", "masks", "stitches", "visualization", "contours", "contours_geojson"),
    *("thumbnails", "coords", "labels", "patch_labels", "inst_labels", "splits", "slides"),
    *("slide_latents", "slide_features"),
}
_COMPANIONS = (".index.npy", ".index.npz", ".coordinates.npz", "_patches.h5")
PACKED = ".bags"  # in names of packed caches, which may be next to the features
_CLAM = ("h5_files", "pt_files")
_SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing"}


@dataclass(frozen=True)
class FeatureSet:
    """The bags of one encoder under one folder.

    ``encoder`` is canonical; two sets of one encoder (magnifications, tile sizes) get ``@`` and
    their folder as a suffix. ``sources`` maps names without suffix to files.
    """

    encoder: str
    folder: Path
    sources: Mapping[str, BagSource]

    def __str__(self) -> str:
        return f"{self.encoder} ({counted(len(self.sources), 'slide')} in {self.folder})"


def discover(root: Path) -> list[FeatureSet]:
    """Find every set of bags under ``root``, sorted by encoder.

    ``root`` may be what CLAM, TRIDENT, STAMP, eva, slideflow or torchmil wrote, a folder above it,
    ``features/<encoder>/`` or a flat folder. Slide embeddings count where there are no features of
    patches. Raises ``FeatureError`` when there is none.
    """
    if not root.exists():
        raise checks.refuse(root, "there is no such folder of features", "check the path")
    root = root.absolute()
    if root.is_file():
        raise checks.refuse(root, "this is a file", "use the folder that holds the features")
    try:
        sets = _sets(root) or _slide_sets(root)
    except OSError as error:
        raise checks.refuse(
            root, f"the folder cannot be listed ({error})", "change its permissions"
        ) from None
    if not sets:
        raise _nothing(root)
    return _in_order(root, sets)


def choose(root: Path, encoder: str | None = None) -> FeatureSet:
    """Choose the set of bags to use; of several encoders under ``root``, the one named ``encoder``.

    A folder whose encoder is unknown takes the name ``encoder``. Slide embeddings beside features
    of patches are chosen by name. Raises ``FeatureError`` listing the encoders when the choice is
    open, ``UnknownNameError`` when none has that name.
    """
    sets = discover(root)
    if encoder is not None:
        fits = _called(encoder, sets)
        beside = [] if fits else _in_order(root.absolute(), _slide_sets(root.absolute()))
        fits = fits or _called(encoder, beside)
        if not fits and len(sets) == 1 and sets[0].encoder == UNKNOWN:
            return replace(sets[0], encoder=canonical_encoder(encoder))
        if not fits:
            every = dict.fromkeys(s.encoder for s in (*sets, *beside))
            raise UnknownNameError("encoder", encoder, every)
        sets = fits
    if len(sets) > 1:
        listed = "; ".join(map(str, sets[:12]))
        raise FeatureError(
            f"{root} holds features of {len(sets)} encoders: {listed}; choose one with --encoder."
        )
    return sets[0]


def _called(encoder: str, sets: Sequence[FeatureSet]) -> list[FeatureSet]:
    """The sets of an encoder: by the exact name, else by an alias, whatever their tiles."""
    # An exact name first: `uni@20x` is not `uni`.
    return [s for s in sets if encoder == s.encoder] or [
        s for s in sets if canonical_encoder(encoder) == s.encoder.partition("@")[0]
    ]


def encoder_of_folder(folder: Path) -> str | None:
    """Return the encoder that a folder's name declares in the way of any writer, if it does."""
    name = folder.name
    declared = _FEATURES.fullmatch(name) or _stamp(folder)
    # A folder named after an encoder declares it: features_<encoder>, STAMP's hash, or its name.
    if declared:
        return canonical_encoder(declared["encoder"])
    named_after_encoder = folder.parent.name == "features" and name not in {*_CLAM, *_SPLIT_NAMES}
    return canonical_encoder(name) if named_after_encoder or is_known_encoder(name) else None


def _sets(root: Path) -> list[FeatureSet]:
    """What :func:`_walk` recognises, else all files below ``root`` as one set."""
    if slide_folder(root.name) is not None:
        return []
    sets = [s for s in _walk(root, None) if s.sources]
    # All files as one set only where nothing is recognised.
    loose = {} if sets else _files(root, deep=True)
    return [FeatureSet(UNKNOWN, root, loose)] if loose else sets


def _slide_sets(root: Path) -> list[FeatureSet]:
    """The folders of slide embeddings at or below ``root``, as TRIDENT, STAMP, slide2vec name them.

    Vectors in a folder of any other name are bags of one like all files.
    """
    folders = sorted(Path(folder) for folder, _, _ in os.walk(root))
    sets = [
        FeatureSet(encoder, folder, _files(folder, deep=True))
        for folder in folders
        if (encoder := slide_folder(folder.name)) is not None
        if folder == root or folder.name != "patient_embeddings"
    ]
    return [s for s in sets if s.sources]


def _in_order(root: Path, sets: list[FeatureSet]) -> list[FeatureSet]:
    """The sets by name, each name once."""
    return sorted(_distinct(root, [_named(s) for s in sets]), key=lambda s: s.encoder)


def _walk(folder: Path, encoder: str | None) -> Iterator[FeatureSet]:
    """Recognised sets below ``folder``; ``encoder`` is what the folders above have declared."""
    declared = encoder_of_folder(folder)  # the innermost folder decides
    encoder = declared or encoder
    name = encoder or UNKNOWN
    if is_eva(folder):
        yield FeatureSet(name, folder, read_manifest(folder))
    elif (folder / SLIDEFLOW_CONFIG).is_file():
        yield FeatureSet(slideflow_encoder(folder) or name, folder, _files(folder))
    elif any((folder / part).is_dir() for part in _CLAM):
        parts = [_files(folder / part, deep=True) for part in _CLAM if (folder / part).is_dir()]
        # h5_files over pt_files of the same name: h5 has coordinates.
        yield FeatureSet(name, folder, {k: v for part in reversed(parts) for k, v in part.items()})
    else:
        # STAMP's sub-folders repeat those of the slides and declare nothing.
        inside = [] if _stamp(folder) else _folders(folder)
        below = [s for sub in inside for s in _walk(sub, encoder)]
        if any(s.sources for s in below) or not declared:
            yield from below
        else:
            yield FeatureSet(name, folder, _files(folder, deep=True))


def _stamp(folder: Path) -> re.Match[str] | None:
    """STAMP's ``<extractor>-<hash8>``; only for known extractors, as a date looks like a hash."""
    match = _STAMP.fullmatch(folder.name)
    return match if match and is_known_encoder(match["encoder"]) else None


def _files(folder: Path, deep: bool = False) -> dict[str, BagSource]:
    """Feature files by their name relative to ``folder`` without suffix, the best suffix each."""
    best: dict[str, Path] = {}
    for path in _feature_files(folder, deep):
        name = path.relative_to(folder).with_name(path.stem).as_posix()
        if name not in best or _rank(path) < _rank(best[name]):
            best[name] = path
    return {name: BagSource((path,)) for name, path in sorted(best.items())}


def _feature_files(folder: Path, deep: bool) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        features = path.suffix.lower() in FEATURE_SUFFIXES and path.is_file()
        # slideflow's indices, slide2vec's coordinates, CLAM's patch files.
        if features and not path.name.endswith(_COMPANIONS):
            yield path
    if deep:
        for sub in _folders(folder):
            yield from _feature_files(sub, deep)


def _folders(folder: Path) -> list[Path]:
    """Sub-folders that may hold bags."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir()
        and path.name not in _NO_BAGS
        and not path.name.startswith(".")
        and slide_folder(path.name) is None
        and PACKED not in path.name
        and not checks.is_zarr(path)
    ]


def _rank(path: Path) -> int:
    return FEATURE_SUFFIXES.index(path.suffix.lower())


def _named(features: FeatureSet) -> FeatureSet:
    """The set with the encoder that its first file names, where no folder declares one."""
    # An encoder names itself in every file alike.
    first = next(iter(features.sources.values())).paths[0]
    if features.encoder != UNKNOWN or first.suffix.lower() not in (".h5", ".hdf5"):
        return features
    return replace(features, encoder=h5_encoder(first) or UNKNOWN)


def _distinct(root: Path, sets: list[FeatureSet]) -> list[FeatureSet]:
    """The sets; those of one encoder get ``@folder`` appended to its name."""
    counts = Counter(s.encoder for s in sets)
    return [
        replace(s, encoder=f"{s.encoder}@{_place(root, s.folder)}") if counts[s.encoder] > 1 else s
        for s in sets
    ]


def _place(root: Path, folder: Path) -> str:
    parts = folder.relative_to(root).parts
    if len(parts) > 1 and _FEATURES.fullmatch(parts[-1]):
        parts = parts[:-1]  # TRIDENT: magnification and tile size stand one above
    return "_".join(parts) or folder.name


def _nothing(root: Path) -> FeatureError:
    """Why a folder has no bags: say what is there instead."""
    if checks.is_zarr(root) or any(root.glob("*.zarr")):
        advice = "these are zarr folders (LazySlide); export their tile features, one .h5 per slide"
    elif any(path.suffix.lower() in PICKLES for path in root.rglob("*")):
        advice = "a pickle is never opened; convert it once to .npz (docs/extraction.md)"
    elif root.name == "patches" or any(root.rglob("patches")):
        advice = "there are only patch coordinates; run the feature extraction first"
    else:
        advice = "use the folder that the feature extraction wrote"
    return checks.refuse(root, f"no feature files ({', '.join(FEATURE_SUFFIXES)}) in it", advice)
