"""A simulated PANDA: ``train.csv`` and the list of near-duplicate images."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mil_bench.datasets.panda import Panda
from mil_bench.simulation.plan import BagSizes, CohortPlan, Rng, TileSize, apportion

# Slides of ISUP 0 to 5 in the official train.csv: provider predicts grade.
GRADES = {
    "karolinska": (1925, 1814, 668, 317, 481, 251),
    "radboud": (967, 852, 675, 925, 768, 973),
}
SLIDES = 10_616
# Gleason scores of every grade with their slides in the official file.
GLEASON: tuple[dict[str, int], ...] = (
    {"0+0": 1},
    {"3+3": 1},
    {"3+4": 1},
    {"4+3": 1},
    {"4+4": 1126, "3+5": 80, "5+3": 43},
    {"4+5": 849, "5+4": 248, "5+5": 127},
)
BENIGN_AT = {"karolinska": "0+0", "radboud": "negative"}
DUPLICATES = "duplicate_imgids_imghash_thres_090.csv"
DUPLICATED_SHARE = 0.12  # of the slides, in pairs


def plan_panda(rng: Rng, slides: int | None = None) -> CohortPlan:
    """Return ``slides`` (10,616) in the official provider x grade proportions, without
    patient ids.
    """
    counts = apportion(np.array(list(GRADES.values())), slides or SLIDES)
    table = pd.DataFrame(
        [
            (provider, grade, _gleason(rng, provider, grade))
            for provider, per_grade in zip(GRADES, counts, strict=True)
            for grade, n in enumerate(per_grade)
            for _ in range(n)
        ],
        columns=["data_provider", "isup_grade", "gleason_score"],
    )
    twin = _pairs(table)
    order = rng.permutation(len(table))
    table, twin = table.iloc[order].reset_index(drop=True), twin[order]
    # 32 hex digits, as the images of Kaggle.
    table.insert(0, "image_id", [rng.bytes(16).hex() for _ in range(len(table))])
    tables = {"train.csv": {"": table}}
    if twin.max() >= 0:
        tables[DUPLICATES] = {"": _duplicate_list(table["image_id"], twin)}
    alone = 1 + twin.max() + np.arange(len(table))  # numbers beyond the pairs
    return CohortPlan(
        slides=pd.DataFrame(
            {
                "slide_id": table["image_id"],
                "label": "ISUP" + table["isup_grade"].astype(str),
                "patient": np.where(twin >= 0, twin, alone),
                "site": (table["data_provider"] == "radboud").astype(int),
            }
        ),
        taxonomy=Panda.card.tree(None),
        sizes=BagSizes(median=90, spread=0.6, low=20, high=300),
        tables=tables,
        tiles=TileSize(level0_magnification=20),
    )


def _gleason(rng: Rng, provider: str, grade: int) -> str:
    if grade == 0:
        return BENIGN_AT[provider]
    scores = GLEASON[grade]
    weights = np.array(list(scores.values()))
    return str(rng.choice(list(scores), p=weights / weights.sum()))


def _pairs(table: pd.DataFrame) -> NDArray[np.int64]:
    """``(n,)`` pair of every slide or -1; twins share provider and grade."""
    twin = np.full(len(table), -1)
    pairs = 0
    for _, rows in table.groupby(["data_provider", "isup_grade"]).indices.items():
        n = int(len(rows) * DUPLICATED_SHARE) // 2
        twin[rows[: 2 * n]] = pairs + np.arange(2 * n) // 2
        pairs += n
    return twin


def _duplicate_list(images: pd.Series, twin: NDArray[np.int64]) -> pd.DataFrame:
    listed = pd.DataFrame({"image_id": images, "group_id": twin})[twin >= 0]
    listed = listed.sort_values("group_id", kind="stable", ignore_index=True)
    return listed.assign(index_in_group=listed.groupby("group_id").cumcount())
