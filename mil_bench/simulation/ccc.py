"""A simulated CCC: ``manifest.csv`` as a hospital would keep it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mil_bench.datasets.ccc import LEAVES, Ccc
from mil_bench.simulation.plan import BagSizes, CohortPlan, Rng, apportion

# Slides per class in a validation fold of HMIL, a tenth of the cohort.
CLASSES = {"NILM": 2410, "ASC-US": 452, "LSIL": 301, "ASC-H": 61, "HSIL": 107, "SCC": 21}
SLIDES, SITES = 3352, 10
REPEATED = 0.1  # share of slides that are a second smear of the patient before
SETS = {"train": 0.8, "val": 0.1, "test": 0.1}


def plan_ccc(rng: Rng, slides: int | None = None) -> CohortPlan:
    """Return ``slides`` (3,352) in the class proportions of CCC, from ten sites, sets 80/10/10."""
    cells = np.outer(list(SETS.values()), [CLASSES[leaf] for leaf in LEAVES])
    counts = apportion(cells, slides or SLIDES)
    table = pd.DataFrame(
        [
            (leaf, name)
            for name, per_class in zip(SETS, counts, strict=True)
            for leaf, n in zip(LEAVES, per_class, strict=True)
            for _ in range(n)
        ],
        columns=["label", "split"],
    )
    n = len(table)
    # Stable: random order within a set is kept.
    table = table.iloc[rng.permutation(n)].sort_values("split", kind="stable")
    # A repeated smear is of the patient before; a set begins with a new one, or it would leak.
    new = (rng.random(n) >= REPEATED) | (table["split"] != table["split"].shift()).to_numpy()
    patient = np.cumsum(new)
    site = rng.integers(SITES, size=n + 1)[patient]  # one site per patient
    manifest = pd.DataFrame(
        {
            "slide_id": [f"CCC_SIM_{i + 1}" for i in range(n)],
            "patient_id": [f"P{p}" for p in patient],
            "label": table["label"].tolist(),
            "site": [f"site_{s + 1}" for s in site],
            "split": table["split"].tolist(),
        }
    )
    return CohortPlan(
        slides=manifest[["slide_id", "label"]].assign(patient=patient, site=site),
        taxonomy=Ccc.card.tree(None),
        sizes=BagSizes(median=400, spread=0.5, low=50, high=2000),
        tables={"manifest.csv": {"": manifest}},
    )
