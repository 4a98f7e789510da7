"""Which column of a foreign table is the slide, the label, the decision, the fold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mil_bench.base.errors import DataError
from mil_bench.base.tables import TextTable, named

SLIDES = ("slide_id", "image_id", "slide", "slide_name", "filename", "file_name", "file", "wsi",
          "wsi_id", "image", "slide_path", "path", "bag_id", "bag")  # fmt: skip
LABELS = ("label", "y", "y_true", "true_label", "target", "ground_truth", "gt", "labels",
          "test_label", "slide_label", "class")  # fmt: skip
DECISIONS = ("pred", "y_hat", "y_pred", "prediction", "predicted", "pred_label", "predicted_label",
             "predicted_class", "decision", "predictions", "preds")  # fmt: skip
PATIENTS = ("patient_id", "patient", "case_id", "case", "group_id", "submitter_id", "subject_id")
FOLDS = ("fold", "fold_id", "cv_fold")
SEEDS = ("seed", "random_seed", "repeat")
SETS = ("set", "split", "partition", "split_info", "dataset_split")
MODELS = ("exp", "model", "method", "experiment")
_SHOWN = 12


@dataclass(frozen=True)
class Roles:
    """The columns of a table that are not probabilities; ``None`` for those that it lacks."""

    slide: str
    label: str | None
    decision: str | None
    patient: str | None
    fold: str | None
    seed: str | None
    set: str | None
    model: str | None

    @property
    def names(self) -> frozenset[str]:
        """All columns with a role."""
        return frozenset(filter(None, vars(self).values()))


def roles_of(table: TextTable, id_column: str | None = None) -> Roles:
    """Find the columns by their usual names; ``id_column`` is what the dataset calls a slide.

    Raises ``DataError`` without a slide, or where a name stands for two columns.
    """
    _check_once(table)
    patient = named(table.header, PATIENTS)
    # A table of patients has a row per patient.
    slide = named(table.header, [*([id_column] if id_column else []), *SLIDES]) or patient
    if slide is None:
        raise DataError(
            f"{table.path} has the columns {some(table.header)}; expected one with the slide, "
            "such as slide_id. Rename it."
        )
    label = named(table.header, LABELS) or _label_before_classes(table, {slide})
    return Roles(
        slide=slide,
        label=label,
        decision=named(table.header, DECISIONS),
        patient=patient,
        fold=named(table.header, FOLDS),
        seed=named(table.header, SEEDS),
        set=named(table.header, SETS),
        model=named(table.header, MODELS),
    )


def _check_once(table: TextTable) -> None:
    """Refuse a name that is there twice: which one is right cannot be known."""
    twice = [
        name
        for name in table.header
        # pandas names the second column of a name X.1.
        if (end := re.fullmatch(r"(.+)\.[1-9]\d*", name)) and end[1] in table.header
    ]
    if twice:
        names = sorted({name.rpartition(".")[0] for name in twice})
        raise DataError(f"{table.path} has the columns {names} more than once; keep one of each.")


def _label_before_classes(table: TextTable, taken: set[str]) -> str | None:
    """The target of STAMP: ``isMSIH``, whose classes have the columns ``isMSIH_MSS``..."""
    for name in table.header:
        values = set(table.column(name)) if name not in taken else set()
        below = [v for v in table.header if v.startswith(f"{name}_")]
        if len(below) > 1 and values <= {v.removeprefix(f"{name}_") for v in below}:
            return name
    return None


def some(names: Sequence[str]) -> str:
    """Return names for a message, and how many more there are."""
    more = len(names) - _SHOWN
    return f"{list(names[:_SHOWN])}{f' and {more} more' if more > 0 else ''}"
