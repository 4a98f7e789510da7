"""What a simulated cohort consists of, against the counts of the real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.base.errors import DataError
from mil_bench.simulation.bracs import plan_bracs
from mil_bench.simulation.ccc import plan_ccc
from mil_bench.simulation.panda import plan_panda
from mil_bench.simulation.plan import BagSizes, apportion, cut_into_patients

LEAVES = ["N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def bracs() -> pd.DataFrame:
    return plan_bracs(rng()).tables["BRACS.xlsx"]["WSI_Information"]


def test_bracs_has_the_official_classes_in_the_official_sets(bracs: pd.DataFrame) -> None:
    """https://www.bracs.icar.cnr.it/details/"""
    counts = pd.crosstab(bracs["Set"], bracs["WSI label"])[LEAVES]
    assert counts.loc["Training"].tolist() == [27, 120, 56, 24, 28, 40, 100]
    assert counts.loc["Validation"].tolist() == [10, 11, 9, 6, 8, 9, 12]
    assert counts.loc["Testing"].tolist() == [7, 16, 9, 11, 12, 12, 20]


def test_bracs_has_189_patients_of_whom_some_have_several_classes(bracs: pd.DataFrame) -> None:
    patients = bracs.groupby("Patient Id")
    assert patients.ngroups == 189
    assert 60 <= (patients["WSI label"].nunique() > 1).sum() <= 95  # 78 in the official file


def test_a_bracs_patient_stays_in_one_set_unless_a_leak_is_asked_for(bracs: pd.DataFrame) -> None:
    assert (bracs.groupby("Patient Id")["Set"].nunique() == 1).all()
    leaky = plan_bracs(rng(), leak=True).tables["BRACS.xlsx"]["WSI_Information"]
    assert (leaky.groupby("Patient Id")["Set"].nunique() > 1).sum() == 1


def test_panda_has_the_official_grades_of_both_providers() -> None:
    train = plan_panda(rng()).tables["train.csv"][""]
    assert train.columns.tolist() == [
        "image_id",
        "data_provider",
        "isup_grade",
        "gleason_score",
    ]
    counts = pd.crosstab(train["data_provider"], train["isup_grade"])
    assert counts.loc["karolinska"].tolist() == [1925, 1814, 668, 317, 481, 251]
    assert counts.loc["radboud"].tolist() == [967, 852, 675, 925, 768, 973]
    assert train["image_id"].is_unique


def test_panda_gleason_scores_imply_the_grade_and_benign_depends_on_the_provider() -> None:
    train = plan_panda(rng(), 600).tables["train.csv"][""]
    benign = train[train["isup_grade"] == 0]
    spelled = benign.groupby("data_provider")["gleason_score"].unique()
    assert spelled["karolinska"].tolist() == ["0+0"]
    assert spelled["radboud"].tolist() == ["negative"]
    for grade, score in zip(train["isup_grade"], train["gleason_score"], strict=True):
        if grade:
            first, second = (int(part) for part in score.split("+"))
            total = {6: 1, 8: 4, 9: 5, 10: 5}.get(first + second)
            assert grade == (total or {3: 2, 4: 3}[first])


def test_panda_twins_share_provider_and_grade() -> None:
    plan = plan_panda(rng(), 1000)
    twins = plan.tables["duplicate_imgids_imghash_thres_090.csv"][""]
    assert twins.columns.tolist() == ["image_id", "group_id", "index_in_group"]
    joined = twins.merge(plan.tables["train.csv"][""], on="image_id")
    assert len(joined) == len(twins) > 50
    assert (joined.groupby("group_id")[["data_provider", "isup_grade"]].nunique() == 1).all(
        axis=None
    )


def test_a_ccc_patient_has_one_site_and_one_set() -> None:
    manifest = plan_ccc(rng()).tables["manifest.csv"][""]
    patients = manifest.groupby("patient_id")
    assert patients["site"].nunique().max() == 1
    assert patients["split"].nunique().max() == 1
    assert patients.size().max() > 1
    assert manifest["label"].value_counts()["NILM"] == pytest.approx(2410, abs=2)


@pytest.mark.parametrize(("plan", "fewest"), [(plan_bracs, 21), (plan_panda, 12), (plan_ccc, 18)])
def test_any_number_of_slides_from_one_per_cell_upwards(plan, fewest: int) -> None:
    for slides in (fewest, fewest + 1, 57, 700):
        table = plan(rng(), slides).slides
        assert len(table) == slides
        assert table["slide_id"].is_unique
        assert set(table["label"]) == set(plan(rng()).taxonomy.leaves)
    with pytest.raises(DataError, match=f"at least {fewest} slides"):
        plan(rng(), fewest - 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.integers(0, 500))
def test_apportioning_keeps_the_total_and_leaves_no_cell_empty(
    counts: list[int], more: int
) -> None:
    parts = apportion(np.array(counts), len(counts) + more)
    assert parts.sum() == len(counts) + more
    assert parts.min() >= 1
    assert (apportion(np.array(counts), sum(counts)) == counts).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 80), st.data())
def test_slides_are_cut_into_exactly_the_asked_number_of_patients(n: int, data) -> None:
    patients = data.draw(st.integers(1, n))
    cut = cut_into_patients(rng(n), np.arange(n) % 7, patients, 0.6)
    assert len(np.unique(cut)) == patients


def test_max_patches_shrinks_all_bags_alike() -> None:
    sizes = BagSizes(median=2500, spread=0.8, low=100, high=12_000)
    full, small = sizes.draw(rng(), 2000, None), sizes.draw(rng(), 2000, 1200)
    assert 2000 < np.median(full) < 3000
    assert full.min() >= 100
    assert full.max() == 12_000
    np.testing.assert_allclose(small, full / 10, atol=0.51)
    assert (sizes.draw(rng(), 10, 50_000) == sizes.draw(rng(), 10, None)).all()
