"""What is extracted: the settings, and the slides of a folder, a table or one file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from mil_bench.bags.formats.names import normalise
from mil_bench.bags.formats.scale import NOMINAL_MPP
from mil_bench.bags.labels.tables import column, read_table, require
from mil_bench.base.errors import DataError, counted
from mil_bench.contract.manifest import check_id
from mil_bench.extraction.tissue import EVERYTHING, PRESETS

METHOD: Final = 1  # of tiling and reading; raise it when features change


@dataclass(frozen=True)
class ExtractionSettings:
    """``mpp`` in um per pixel, ``tile`` in pixels at ``mpp``, ``min_tissue`` a share of a tile."""

    encoder: str
    weights: str
    precision: str
    mpp: float
    tile: int
    tissue: str
    min_tissue: float

    @property
    def magnification(self) -> float:
        """Nominal, as TRIDENT names it."""
        return NOMINAL_MPP / self.mpp

    def folder(self, out: Path) -> Path:
        """Return TRIDENT's place for the files of one encoder."""
        return self.grid_folder(out) / f"features_{self.encoder}"

    def grid_folder(self, out: Path) -> Path:
        """Return TRIDENT's place for all that has one magnification and tile size."""
        return out / f"{self.magnification:g}x_{self.tile}px_0px_overlap"

    def record(self, source: SlideSource) -> dict[str, Any]:
        """Return what the feature file of ``source`` records about its settings."""
        # A replaced slide of the same name is noticed.
        size = source.path.stat().st_size if source.path.exists() else None
        return {
            **asdict(self),
            "method": METHOD,
            "mpp_override": source.mpp,
            "slide_bytes": size,
        }


def min_share(tissue: str) -> float:
    """Return the default share of tissue that a tile needs."""
    return 0.0 if tissue == EVERYTHING else PRESETS[tissue].min_share


def differences(old: str, new: dict[str, Any]) -> list[str]:
    """List the settings of the JSON text ``old`` that differ in ``new``: ``"tile 256, now 512"``.

    Raises ``ValueError`` when ``old`` is no such record.
    """
    before = json.loads(old)
    if not isinstance(before, dict):
        raise ValueError(old)
    return [
        f"{key} {before.get(key)}, now {value}"
        for key, value in new.items()
        if before.get(key) != value
    ]


# Which slides are to be extracted: those of a folder, of a table, or one file.

SLIDE_SUFFIXES = (
    *(".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".vms", ".vmu", ".scn", ".bif", ".svslide"),
    *(".png", ".jpg", ".jpeg", ".bmp"),
)
TABLES = (".csv", ".tsv", ".xlsx")
PATHS = ("slide", "path", "file", "wsi", "slide_path")


@dataclass(frozen=True)
class SlideSource:
    """A slide to extract; ``mpp`` (um per level-0 pixel) overrides what its file says."""

    name: str
    path: Path
    mpp: float | None = None


class SlideSources(NamedTuple):
    """Slides to extract; ``duplicates`` maps a name that several files have to the reason."""

    slides: list[SlideSource]
    duplicates: dict[str, str]


def find_slides(where: Path, mpp: float | None = None, without: Path | None = None) -> SlideSources:
    """Return the slides of a folder (and its sub-folders), of a table, or the one file ``where``.

    Nothing is looked for in the folder ``without``, which holds pictures of an extraction.

    A table has a column ``slide`` with paths relative to the table, and an optional column ``mpp``.
    The argument ``mpp`` is for slides whose file has no value, or a wrong one. Raises
    ``DataError`` where there are no slides.
    """
    if not where.exists():
        raise DataError(f"{where}: there is no such file or folder of slides; check --slides.")
    if where.is_file() and where.suffix.lower() in TABLES:
        sources = _listed(where, mpp)
    elif where.is_file():
        sources = [_source(where, mpp)]
    else:
        inside = sorted(path for path in where.rglob("*") if _is_slide(path))
        skipped = without.absolute() if without else None
        # Without pictures of an earlier extraction.
        sources = [_source(p, mpp) for p in inside if skipped not in p.absolute().parents]
    if not sources:
        raise DataError(
            f"{where} holds no slides; expected files such as {', '.join(SLIDE_SUFFIXES[:5])}, "
            "or a table of their paths."
        )
    return _by_distinct_name(sources)


def _listed(table: Path, mpp: float | None) -> list[SlideSource]:
    rows = read_table(table)
    paths = rows[require(rows, PATHS, table)]
    if not all(paths):  # an empty path would be the table's own folder
        raise DataError(
            f"{table}: {counted(int((paths == '').sum()), 'row')} of {len(paths)} without a path; "
            f"fill in column {paths.name!r}, or remove the row."
        )
    named = column(rows, ("mpp",))
    values: Iterable[str] = rows[named] if named else [""] * len(paths)
    return [
        _source(table.parent / path, _number(table, path, value) if value else mpp)
        for path, value in zip(paths, values, strict=True)
    ]


def _number(table: Path, path: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0  # refused below like other impossible values
    if not 0 < value < float("inf"):
        raise DataError(
            f"{table}: slide {path!r} has mpp {text!r}; expected um per pixel such as 0.25, or a "
            "blank to use the slide's value."
        )
    return value


def _source(path: Path, mpp: float | None) -> SlideSource:
    # File names become names of features.
    return SlideSource(check_id(normalise(path.name)), path, mpp)


def _is_slide(path: Path) -> bool:
    hidden = path.name.startswith(".")
    there = path.is_file() or path.is_symlink()  # a link that leads nowhere is reported
    return path.suffix.lower() in SLIDE_SUFFIXES and not hidden and there


def _by_distinct_name(sources: Sequence[SlideSource]) -> SlideSources:
    by_name: dict[str, list[SlideSource]] = defaultdict(list)
    for source in dict.fromkeys(sources):  # a table may name the same file twice
        by_name[source.name].append(source)
    twice = {
        name: f"{len(same)} slides have this name ({', '.join(str(s.path) for s in same[:3])}); "
        "expected one. Rename or move the others."
        for name, same in by_name.items()
        if len(same) > 1
    }
    return SlideSources([same[0] for same in by_name.values() if len(same) == 1], twice)
