"""Predictions of any origin: our own form, or ``slide_id``, ``label`` and a column per class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.groups import slide_group
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.predictions_csv import PredictionTable

# How tools name the column of class X; one form is used throughout a file.
FORMS = ("{}", "leaf:{}", "prob_{}", "p_{}")
GROUPS = ("group_id", "patient_id", "case_id")
_SHOWN = 5


@dataclass(frozen=True)
class External:
    """What a file holds: predictions per set and computed notes about them."""

    sets: Mapping[str, Predictions]
    notes: tuple[str, ...]


def read_external(
    path: Path,
    taxonomy: Taxonomy,
    labels: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> External:
    """Read predictions of any origin for scoring under ``taxonomy``.

    ``labels`` and ``groups`` (slide -> leaf, slide -> patient) come from a dataset's manifest.
    They fill in columns that the file lacks; where both exist they must agree. ``set`` is ``test``
    without such a column. Raises ``DataError`` naming columns, lines and slides.
    """
    table = PredictionTable.read(path)
    table.require(["slide_id"], "the slide of every row")
    slides, notes = table.text("slide_id"), []
    columns = {LEAF: _leaf_columns(table, taxonomy), **_upper_columns(table, taxonomy)}
    # What is used of the file.
    read = {"slide_id", "label", "set", *GROUPS, *(c for cs in columns.values() for c in cs)}
    ignored = [name for name in table.header if name not in read]
    if ignored:
        notes.append(f"columns not used: {', '.join(ignored)}")
    if labels is not None:
        left = len(labels.keys() - set(slides))  # not an error: a split tests some slides
        if left:
            notes.append(f"{left} of the dataset's {len(labels)} slides are not in the file")
    sets = table.build(
        taxonomy,
        sets=table.text("set") if "set" in table.header else ["test"] * len(slides),
        labels=_labels(table, slides, labels),
        groups=_groups(table, slides, groups, notes),
        heads={level: table.numbers(names) for level, names in columns.items()},
    )
    return External(sets, tuple(notes))


def _leaf_columns(table: PredictionTable, taxonomy: Taxonomy) -> list[str]:
    forms = [[form.format(leaf) for leaf in taxonomy.leaves] for form in FORMS]
    # The form with most classes; missing ones are named.
    best = max(forms, key=lambda names: sum(name in table.header for name in names))
    table.require(best, f"probabilities of the classes of tree {taxonomy.name!r}")
    return best


def _upper_columns(table: PredictionTable, taxonomy: Taxonomy) -> dict[str, list[str]]:
    """Direct heads whose classes are those of the tree; others belong to another tree."""
    heads = {}
    for level in taxonomy.levels[:-1]:
        # A head of another tree has other classes.
        names = [f"{level}:{name}" for name in taxonomy.classes[level]]
        have = [name for name in table.header if name.startswith(f"{level}:")]
        if set(have) == set(names):
            heads[level] = names
    return heads


def _labels(
    table: PredictionTable, slides: list[str], of_dataset: Mapping[str, str] | None
) -> list[str]:
    if of_dataset is not None:
        stray = [slide for slide in slides if slide not in of_dataset]
        if stray:
            raise DataError(
                f"{table.path}: {len(stray)} slides are not in the dataset (first: "
                f"{stray[:_SHOWN]}); expected its slide ids."
            )
    if "label" in table.header:
        labels = table.text("label")
        if of_dataset is not None:
            # Where both exist, a difference means that the file belongs to other slides.
            _check_agreement(table.path, slides, labels, of_dataset)
        return labels
    if of_dataset is None:
        raise DataError(
            f"{table.path} has no column 'label'; add it, or pass --dataset with --data-root."
        )
    return [of_dataset[slide] for slide in slides]


def _check_agreement(
    path: Path, slides: list[str], labels: list[str], of_dataset: Mapping[str, str]
) -> None:
    wrong = [
        f"{slide} ({label}, dataset: {of_dataset[slide]})"
        for slide, label in zip(slides, labels, strict=True)
        if label != of_dataset[slide]
    ]
    if wrong:
        raise DataError(
            f"{path}: {len(wrong)} labels differ from the dataset's (first: "
            f"{', '.join(wrong[:_SHOWN])}); remove the column to use the dataset's labels."
        )


def _groups(
    table: PredictionTable,
    slides: list[str],
    of_dataset: Mapping[str, str] | None,
    notes: list[str],
) -> list[str]:
    column = next((name for name in GROUPS if name in table.header), None)
    if column is not None:
        named = zip(slides, table.text(column), strict=True)
        # A blank group is a patient of one slide.
        return [group or slide_group(slide) for slide, group in named]
    if of_dataset is not None:
        return [of_dataset[slide] for slide in slides]
    notes.append(
        "no patient or group is given: each slide counts as one patient, so intervals may be too "
        "narrow"
    )
    return [slide_group(slide) for slide in slides]
