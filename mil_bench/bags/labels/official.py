"""A dataset's own split, and findings about its patients."""

from __future__ import annotations

from collections.abc import Mapping

from mil_bench.base.errors import DataError
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.sets import SETS, set_name
from mil_bench.contract.split import Fold, Split


def official_split(sets: Mapping[str, str]) -> Split | None:
    """Make a one-fold split from slide -> set name (``Training``, ``valid``, ``test``...).

    A blank leaves the slide out; all blank gives ``None``. Raises ``DataError`` for other names.
    """
    members: dict[str, list[str]] = {name: [] for name in SETS}
    for slide, text in sets.items():
        if not text:
            continue
        name = set_name(text)
        if name is None:
            raise DataError(
                f"slide {slide} is in the set {text!r}; expected train, val or test, or a blank to "
                "leave the slide out. Correct the label file."
            )
        members[name].append(slide)
    if not any(members.values()):
        return None
    # One fold: published splits are one division.
    return Split("official", "official", (Fold(**{k: tuple(v) for k, v in members.items()}),))


def keep_slides(split: Split, slides: frozenset[str]) -> Split:
    """Return the split with only the given slides."""
    folds = (
        Fold(**{name: tuple(s for s in ids if s in slides) for name, ids in fold.sets()})
        for fold in split.folds
    )
    return Split(split.name, split.mode, tuple(folds), split.notes)


def leaky_groups(split: Split, groups: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """Return the groups in more than one set of the first fold, with sets and slides."""
    sets_of: dict[str, dict[str, list[str]]] = {}
    for name, slides in split[0].sets():
        for slide in slides:
            sets_of.setdefault(groups[slide], {}).setdefault(name, []).append(slide)
    return {group: sets for group, sets in sets_of.items() if len(sets) > 1}


def mixed_patients(manifest: Manifest) -> list[str]:
    """Return the patients whose slides have different labels."""
    rows = manifest.table[manifest.table["patient_id"] != ""]
    labels = rows.groupby("patient_id", sort=False)["label"].nunique()
    return [str(patient) for patient in labels.index[labels > 1]]


def patient_findings(manifest: Manifest, official: Split | None) -> list[str]:
    """Return sentences on unknown patients, mixed classes, patients in two official sets."""
    patients = set(manifest.table["patient_id"]) - {""}
    findings = []
    if not patients:
        findings.append(
            "patient ids are unknown, so each slide counts as one patient: splits cannot keep a "
            "patient together, and intervals may be too narrow"
        )
    mixed = mixed_patients(manifest)
    if mixed:
        findings.append(
            f"{len(mixed)} of {len(patients)} patients have slides of different classes; splits "
            "keep patients together"
        )
    for group, homes in leaky_groups(official, manifest.groups()).items() if official else ():
        places = "; ".join(f"{name}: {', '.join(sorted(ids))}" for name, ids in homes.items())
        findings.append(
            f"patient {group} is in {len(homes)} official sets ({places}); --drop-leaky-patients "
            "excludes such patients"
        )
    return findings
