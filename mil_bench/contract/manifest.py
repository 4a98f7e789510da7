"""The one table everything downstream sees: a row per slide, all ids ``str``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import pandas as pd

from mil_bench.base.errors import DataError, UnknownNameError, counted
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.groups import slide_group

STRATUM = "stratum"
"""Column of what splits balance where that is not the label (coarse labels of the same slides)."""
REQUIRED = ("slide_id", "patient_id", "group_id", "label")
_UNSAFE = re.compile(r"(^|[\\/])\.\.([\\/]|$)|^[\\/]|^[A-Za-z]:[\\/]|[\x00-\x1f]")


@dataclass(frozen=True)
class Manifest:
    """Slides with their labels.

    ``table`` has the columns ``slide_id`` (unique), ``patient_id`` (empty string when unknown),
    ``group_id`` (what must never cross a split: the patient, a duplicate group, else the slide),
    ``label`` (leaf name) and any further columns of the source (``provider``, ``site``...).
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        absent = [c for c in REQUIRED if c not in self.table.columns]
        if absent:
            raise DataError(
                f"the manifest has the columns {list(self.table.columns)}; {absent} are missing."
            )
        for slide_id in self.table["slide_id"]:
            check_id(slide_id)
        repeated = self.table["slide_id"][self.table["slide_id"].duplicated()].tolist()
        if repeated:
            raise DataError(
                f"{counted(len(repeated), 'slide is', 'slides are')} listed more than once "
                f"(first: {repeated[:5]}); "
                "expected one row per slide. Remove the repeats."
            )

    @classmethod
    def build(
        cls,
        slide_id: Iterable[object],
        label: Iterable[object],
        patient_id: Iterable[object] | None = None,
        group_id: Iterable[object] | None = None,
        **extra: Iterable[object],
    ) -> Manifest:
        """Make the table; a missing patient is ``""``, a missing group is the patient or slide."""
        slides = [_text(s) for s in slide_id]
        patients = [_text(p) for p in patient_id] if patient_id is not None else [""] * len(slides)
        fallback = [p or slide_group(s) for p, s in zip(patients, slides, strict=True)]
        groups = [_text(g) for g in group_id] if group_id is not None else fallback
        # A blank group falls back too.
        groups = [g or f for g, f in zip(groups, fallback, strict=True)]
        columns = {
            "slide_id": slides,
            "patient_id": patients,
            "group_id": groups,
            "label": [_text(v) for v in label],
        }
        return cls(pd.DataFrame({**columns, **{k: list(v) for k, v in extra.items()}}))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def slide_ids(self) -> list[str]:
        """Slide ids in table order."""
        return list(self.table["slide_id"])

    @property
    def has_patients(self) -> bool:
        """Whether every slide names its patient."""
        return bool((self.table["patient_id"] != "").all())

    def labels(self) -> dict[str, str]:
        """Map every slide id to its leaf label."""
        return dict(zip(self.table["slide_id"], self.table["label"], strict=True))

    def strata(self) -> dict[str, str]:
        """Map slide ids to the class that splits balance: column ``stratum``, else the label."""
        column = STRATUM if STRATUM in self.table.columns else "label"
        return dict(zip(self.table["slide_id"], self.table[column], strict=True))

    def groups(self) -> dict[str, str]:
        """Map every slide id to its group id."""
        return dict(zip(self.table["slide_id"], self.table["group_id"], strict=True))

    def clusters(self) -> dict[str, str]:
        """Map slide ids to the unit of inference: the patient if known, else the group.

        They differ where groups are wider than patients, as the image pools of digit-bags.
        """
        patients, groups = self.table["patient_id"], self.table["group_id"]
        units = patients.where(patients != "", groups)  # the patient, where known
        return dict(zip(self.table["slide_id"], units, strict=True))

    def keep(self, slide_ids: Sequence[str] | set[str]) -> Manifest:
        """Return only the given slides, in table order."""
        rows = self.table[self.table["slide_id"].isin(list(slide_ids))]
        return Manifest(rows.reset_index(drop=True))

    def check_labels(self, taxonomy: Taxonomy) -> None:
        """Raise ``DataError`` naming the first slide whose label is not a leaf of the tree."""
        for slide, label in self.labels().items():
            if label not in taxonomy.leaves:
                try:
                    taxonomy.index(label)
                except UnknownNameError as error:
                    raise DataError(f"slide {slide}: {error}") from None

    def digest(self) -> str:
        # Sorted: the order of the label file means nothing.
        """Return the content hash of ids, groups and labels, in any order of the rows."""
        rows = sorted(
            self.table[["slide_id", "group_id", "label"]].itertuples(index=False, name=None)
        )
        return sha256(repr(rows).encode()).hexdigest()[:12]


def check_id(slide_id: str) -> str:
    """Return a slide id that is safe in a path; ``DataError`` for ``../``, ``/x`` and blanks."""
    if not slide_id or slide_id != slide_id.strip() or _UNSAFE.search(slide_id):
        raise DataError(
            f"slide id {slide_id!r} is empty or would leave its folder; expected a plain name "
            "without '..', leading '/' or control characters."
        )
    return slide_id


def _text(value: object) -> str:
    # None, NaN and pandas' NA.
    if value is None or (isinstance(value, float) and value != value) or value is pd.NA:
        return ""
    # pandas reads a column with blanks as floats.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
