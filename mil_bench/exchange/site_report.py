"""A site report: what a cohort that may not leave its house says of the methods run on it.

It holds scores of every method, fold and seed, counts by class, and the bootstrap replicates of
every score. Intervals, differences and tests of any two methods of the report follow from these.
It holds no ids and nothing about a single slide or patient (``docs/site-reports.md``).

A report is ``site-report.json``, alone or as the only member of a zip file.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mil_bench.base.atomic import write_bytes
from mil_bench.base.config import StrictConfig, build
from mil_bench.base.errors import DataError, MilBenchError
from mil_bench.base.formats import format_of
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.spec import DataKind
from mil_bench.evaluation.metrics import METRICS, Score

KIND: Final = "mil-bench site report"
FORMAT: Final = 1
MEMBER: Final = "site-report.json"
LARGEST: Final = 200 * 2**20
_UNDEFINED: Final = np.iinfo(np.int32).min
_FEWEST_DRAWS, _MOST_DRAWS = 100, 20_000
_SOURCES: Final = ("direct", "summed", "path", "crm", "gain", "")
_SMALL = 1e-6

Count = int | None
"""A number, or ``None`` where it is suppressed."""


class ClassCount(StrictConfig):
    """Distinct test slides and patients of one leaf class."""

    name: str
    slides: Count = Field(ge=0)
    patients: Count = Field(ge=0)


class FoldCount(StrictConfig):
    """Test slides and patients of one fold, and its training slides (0: unknown)."""

    fold: int = Field(ge=0)
    slides: int = Field(ge=1)
    patients: int = Field(ge=1)
    train_slides: int = Field(0, ge=0)


class SiteCell(StrictConfig):
    """The scores of one run, in the order of :attr:`SiteReport.scores`; ``None`` is undefined."""

    seed: int = Field(ge=0)
    fold: int = Field(ge=0)
    values: tuple[float | None, ...] = Field(repr=False)


class SiteRow(StrictConfig):
    """One row of the site's board. ``draws`` are packed replicates, by score; empty without one."""

    method: str = Field(min_length=1)
    method_version: str
    variant: str
    role: str
    settings: str
    cells: tuple[SiteCell, ...] = Field(min_length=1)
    draws: tuple[str, ...] = Field(repr=False)


class SiteReport(StrictConfig):
    """The content of a report.

    ``data``, ``split_id`` and ``features`` are keyed digests: the site recognises its own data,
    and others cannot test a guess. ``draws_id`` is the same for reports with the same draws of
    patients, whose methods can be compared. ``units`` are the resolutions of the replicates.
    """

    kind: Literal["mil-bench site report"] = KIND
    format: int = FORMAT
    mil_bench: str
    dataset: str = Field(min_length=1)
    data_kind: DataKind
    encoder: str
    dim: int = Field(ge=0)
    tree: dict[str, Any]
    split: str
    leaky: bool
    patients_known: bool
    data: str
    split_id: str
    features: str
    draws_id: str
    slides: int = Field(ge=1)
    patients: int = Field(ge=1)
    freedom: float = Field(gt=0)
    classes: tuple[ClassCount, ...] = Field(min_length=1)
    folds: tuple[FoldCount, ...] = Field(min_length=1)
    scores: tuple[tuple[str, str, str, str], ...] = Field(min_length=1)
    units: tuple[float, ...]
    replicates: int = Field(ge=_FEWEST_DRAWS, le=_MOST_DRAWS)
    rows: tuple[SiteRow, ...] = Field(min_length=1, max_length=1000)

    @property
    def taxonomy(self) -> Taxonomy:
        """The label tree."""
        return Taxonomy.from_dict(self.tree)

    @property
    def score_list(self) -> list[Score]:
        """The scores of all cells and replicates, in order."""
        return [Score(*score) for score in self.scores]

    def draws(self, row: SiteRow) -> dict[Score, NDArray[np.float64]]:
        """Return the replicates ``(B,)`` of the scores that a row has."""
        return {
            score: unpacked(text, unit)
            for score, unit, text in zip(self.score_list, self.units, row.draws, strict=True)
            if text
        }


# Replicates as text: whole numbers of a unit, so that equal values stay equal.


def unit_of(values: Sequence[NDArray[np.float64]]) -> float:
    """Return the resolution at which all ``values`` of one score fit 32 bits: 1e-9 or coarser."""
    largest = max((float(np.nanmax(np.abs(v), initial=0)) for v in values), default=0.0)
    unit = 1e-9
    while largest / unit >= 2**31 - 1:
        unit *= 10
    return unit


def packed(values: NDArray[np.float64], unit: float) -> str:
    """Return replicates ``(B,)`` as text; undefined ones are kept."""
    whole = np.where(np.isnan(values), _UNDEFINED, np.rint(np.nan_to_num(values) / unit))
    return base64.b64encode(zlib.compress(whole.astype("<i4").tobytes(), 9)).decode()


def unpacked(text: str, unit: float) -> NDArray[np.float64]:
    """Return the replicates of :func:`packed`. Raises ``ValueError`` for any other text."""
    try:
        engine = zlib.decompressobj()
        content = engine.decompress(base64.b64decode(text, validate=True), 4 * _MOST_DRAWS)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"replicates are damaged ({error})") from None
    if engine.unconsumed_tail or len(content) % 4:
        raise ValueError("replicates have another length than stated")
    whole = np.frombuffer(content, dtype="<i4")
    return np.where(whole == _UNDEFINED, np.nan, whole * unit)


# Files.


def write_site_report(report: SiteReport, path: Path) -> None:
    """Write a report as ``.json`` or ``.zip``. Raises ``DataError`` for another ending."""
    text = json.dumps(report.model_dump(mode="json"), allow_nan=False, indent=1) + "\n"
    if path.suffix == ".json":
        content = text.encode()
    elif path.suffix == ".zip":
        buffer = io.BytesIO()
        member = zipfile.ZipInfo(MEMBER)  # of a fixed date: the same report has the same bytes
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(member, text, zipfile.ZIP_DEFLATED)
        content = buffer.getvalue()
    else:
        raise DataError(f"--out {path} ends in {path.suffix!r}; expected .json or .zip.")
    try:
        write_bytes(path, content)
    except OSError as error:
        raise DataError(f"cannot write {path} ({error.strerror}); choose another --out.") from None


def is_site_report(path: Path) -> bool:
    """Return whether a file looks like a site report, by its first bytes or its only member."""
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                return archive.namelist() == [MEMBER]
        with path.open("rb") as file:
            return path.suffix == ".json" and KIND.encode() in file.read(200)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def site_reports_in(place: Path) -> list[Path]:
    """Return the site reports directly in a folder, by name; or the file itself if it is one."""
    if place.is_file():
        return [place] if is_site_report(place) else []
    files = [*place.glob("[!.]*.json"), *place.glob("[!.]*.zip")]
    return sorted(file for file in files if is_site_report(file))


def read_site_report(path: Path) -> SiteReport:
    """Read and check all of a report, whoever has sent it.

    Raises ``DataError`` or ``ConfigError``, in one sentence, for anything that is not a complete
    report of a format that this version knows.
    """
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        first = " ".join(str(error).split())[:120]
        raise DataError(f"{path} is not a site report: it is not valid JSON ({first}).") from None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise DataError(f"{path} is not a site report; expected a file of `submit report`.")
    format_of(content, FORMAT, str(path))
    report = build(SiteReport, content, str(path))
    try:
        _check(report)
    except (ValueError, TypeError, KeyError, MilBenchError) as error:
        first = " ".join(str(error).split())[:160]
        raise DataError(f"{path} is not a complete site report: {first}.") from None
    return report


def _text(path: Path) -> bytes:
    try:
        if path.suffix != ".zip":
            content = path.read_bytes() if path.stat().st_size <= LARGEST else None
        else:
            with zipfile.ZipFile(path) as archive, archive.open(MEMBER) as file:
                content = file.read(LARGEST + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check it.") from None
    except (KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        first = " ".join(str(error).split())[:120]
        raise DataError(f"{path} is not a site report in a zip file ({first}).") from None
    if content is None or len(content) > LARGEST:
        raise DataError(f"{path} has more than {LARGEST:,} bytes; expected a smaller report.")
    return content


# What the types alone leave open.


def _check(report: SiteReport) -> None:
    """Raise ``ValueError`` where parts of a report contradict each other."""
    tree = report.taxonomy
    _must(tuple(c.name for c in report.classes) == tree.leaves, "its classes are not its leaves")
    _must(len(set(report.scores)) == len(report.scores), "a score is listed twice")
    _must(len(report.units) == len(report.scores), "it lacks a unit for every score")
    _must(all(1e-9 <= u <= 1e9 for u in report.units), "a unit is out of range")
    for score in report.score_list:
        _check_score(score, tree)
    folds = [f.fold for f in report.folds]
    _must(len(set(folds)) == len(folds), "a fold is listed twice")
    _must(all(f.slides <= report.slides for f in report.folds), "a fold has too many slides")
    _must(report.patients <= report.slides, "it has more patients than slides")
    grid = {(c.seed, c.fold) for c in report.rows[0].cells}
    _must({fold for _, fold in grid} == set(folds), "its runs have other folds than it counts")
    labels = [(row.method, row.variant, row.role) for row in report.rows]
    _must(len(set(labels)) == len(labels), "a row is listed twice")
    for row in report.rows:
        _check_row(report, row, grid)


def _check_score(score: Score, tree: Taxonomy) -> None:
    _must(score.metric in METRICS, f"the score {score.metric!r} is unknown")
    _must(score.level in (*tree.levels, ""), f"the level {score.level!r} is unknown")
    _must(score.source in _SOURCES, f"the source {score.source!r} is unknown")
    names = tree.classes[score.level or LEAF]
    _must(score.name in (*names, ""), f"the class {score.name!r} is unknown")


def _check_row(report: SiteReport, row: SiteRow, grid: set[tuple[int, int]]) -> None:
    cells = [(c.seed, c.fold) for c in row.cells]
    _must(len(cells) == len(grid) and set(cells) == grid, f"{row.method} lacks runs of others")
    _must(len(row.draws) == len(report.scores), f"{row.method} has other scores than it lists")
    for cell in row.cells:
        _must(len(cell.values) == len(report.scores), f"{row.method} has other scores than listed")
    for i, (score, draws) in enumerate(zip(report.score_list, row.draws, strict=True)):
        values = np.array([c.values[i] for c in row.cells], dtype=np.float64)
        drawn = unpacked(draws, report.units[i]) if draws else np.empty(0)
        _must(len(drawn) in (0, report.replicates), "replicates have another length than stated")
        bound = 1 + _SMALL if score.facts.unit == "fraction" else np.inf
        for numbers in (values, drawn):
            defined = numbers[~np.isnan(numbers)]
            _must(bool((np.abs(defined) <= bound).all()), f"a value of {score} is out of range")
            _must(bool(np.isfinite(defined).all()), f"a value of {score} is infinite")


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise ValueError(otherwise)


def same_site(a: SiteReport, b: SiteReport) -> bool:
    """Return whether two reports have the same data and draws, so that their rows can be paired."""

    def identity(report: SiteReport) -> Mapping[str, Any]:
        return report.model_dump(exclude={"rows", "scores", "units", "mil_bench"})

    return identity(a) == identity(b)
