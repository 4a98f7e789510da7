"""A simulated BRACS: ``BRACS.xlsx`` with both sheets of the official file."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mil_bench.datasets.bracs import LEAVES, OFFICIAL, SHEET, Bracs
from mil_bench.simulation.plan import BagSizes, CohortPlan, Rng, apportion, cut_into_patients

SLIDES, PATIENTS = 547, 189
SETS = {"train": "Training", "val": "Validation", "test": "Testing"}
# Mean number of regions of interest per class in the official file.
ROIS = dict(zip(LEAVES, (0.9, 3.1, 4.6, 7.9, 11.1, 14.3, 14.9), strict=True))
MIXING = 0.65  # gives about as many patients of several classes as the official file (78)


def plan_bracs(rng: Rng, slides: int | None = None, leak: bool = False) -> CohortPlan:
    """Return ``slides`` (547) in the official class x set proportions; a patient stays in one set.

    ``leak`` puts one patient into two sets, like patient 67 in the official file.
    """
    table = _slides(rng, apportion(np.array(list(OFFICIAL.values())), slides or SLIDES))
    if leak:
        _leak(table)
    # Order in the file must not tell the class.
    table = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
    table.insert(0, "slide_id", [f"BRACS_SIM_{i + 1}" for i in range(len(table))])
    # Geometric: many slides have few regions.
    rois = np.minimum(rng.geometric(1 / (1 + table["label"].map(ROIS))) - 1, 119)
    information = pd.DataFrame(
        {
            "WSI Filename": table["slide_id"],
            "Patient Id": table["patient"],
            "RoI ": rois,
            "WSI label": table["label"],
            "Set": table["set"].map(SETS),
        }
    )
    sheets = {SHEET: information, "WSI_with_RoI_Distribution": _distribution(rng, information)}
    return CohortPlan(
        slides=table[["slide_id", "label", "patient"]].assign(site=0),
        taxonomy=Bracs.card.tree(None),
        sizes=BagSizes(median=2500, spread=0.8, low=100, high=12_000),
        tables={"BRACS.xlsx": sheets},
    )


def _slides(rng: Rng, counts: NDArray[np.int64]) -> pd.DataFrame:
    """``label, set, patient`` from ``(3, 7)`` slides per set and class."""
    parts, so_far = [], 0
    patients_per_set = apportion(counts.sum(1), round(counts.sum() * PATIENTS / SLIDES))
    for name, per_class, n_patients in zip(SETS, counts, patients_per_set, strict=True):
        severity = np.repeat(np.arange(len(LEAVES)), per_class)
        patients = so_far + cut_into_patients(rng, severity, n_patients, MIXING) + 1
        so_far += n_patients  # patients are numbered on, so that sets share none
        labels = [LEAVES[leaf] for leaf in severity]
        parts.append(pd.DataFrame({"label": labels, "set": name, "patient": patients}))
    return pd.concat(parts, ignore_index=True)


def _leak(table: pd.DataFrame) -> None:
    """Give one validation slide to a training patient."""
    row = table.index[table["set"] == "val"][0]
    table.loc[row, "patient"] = table.loc[table["set"] == "train", "patient"].iloc[0]


def _distribution(rng: Rng, information: pd.DataFrame) -> pd.DataFrame:
    """The second sheet: regions by class under a two-row header, with its wrong Set column."""
    header = ["WSI Filename", "WSI label", "Set", "Total RoI number", *LEAVES]
    rows: list[list[object]] = [["", "", "", "", "RoI Distribution", *[""] * 6], [*header]]
    for slide, _, rois, label, official in information.itertuples(index=False, name=None):
        if rois == 0:
            continue
        top = LEAVES.index(label) + 1
        # Regions of the class or of milder ones only.
        shares = rng.multinomial(rois, np.full(top, 1 / top))
        cells = [int(n) or "-" for n in shares] + ["-"] * (len(LEAVES) - top)
        wrong = {"Training": "Testing", "Validation": "Validation "}.get(official, official)
        rows.append([slide, label, wrong, rois, *cells])
    return pd.DataFrame(rows)
