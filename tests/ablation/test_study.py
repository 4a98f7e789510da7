"""A component study from its plan to its tables, on runs written by hand."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import toy_grid
import toy_parts  # noqa: F401  (registers the method)
from prediction_cases import random_predictions
from run_folders import fail, finish
from run_requests import request

from mil_bench.ablation.latex import study_latex
from mil_bench.ablation.study import Study, plan_study
from mil_bench.ablation.tables import study_table
from mil_bench.ablation.text import difference_text, mean_text, notes, verdicts
from mil_bench.ablation.write import write_study
from mil_bench.base.errors import UsageError
from mil_bench.evaluation.inference.retraining import PairedDifference
from mil_bench.evaluation.scores import Scores
from mil_bench.runs.task import DataRequest

METRICS = ("balanced_accuracy", "coarse_summed_balanced_accuracy")
prepare = cache(DataRequest.prepare)


def planned(tmp_path, only=(), **changes):
    grid, machine = request(
        tmp_path, methods=["parts"], **{"folds": [0, 1, 2], "seeds": [0, 1], **changes}
    )
    return plan_study(grid, only, machine, prepare)


def specs(plan):
    return {p.variant.name: [task.spec for task in p.tasks] for p in plan}


def made(tmp_path, only, skip=()):
    """A study whose runs are there, but for the ``(variant, seed, fold)`` of ``skip``."""
    plan, truth = planned(tmp_path, only), {}
    for name, runs in specs(plan).items():
        for spec in runs:
            if (name, spec.seed, spec.fold) not in skip:
                predictions = random_predictions(
                    toy_grid.TREE, n=60, seed=int(spec.key[:8], 16), skill=1.0
                )
                finish(tmp_path, spec, predictions, n_train=120)
                truth[name, spec.seed, spec.fold] = Scores.of(predictions).by_name[METRICS[0]]
    return plan, truth


def test_every_variant_gets_the_same_cells_and_only_its_own_changes(tmp_path):
    found = specs(planned(tmp_path))
    assert list(found) == [
        "full", "no_bias", "no_dropout", "no_half", "bare", "only_dropout", "wide", "narrow",
        "tiny",
    ]  # fmt: skip
    full = found["full"]
    for runs in found.values():
        assert [(s.seed, s.fold) for s in runs] == [(s.seed, s.fold) for s in full]
    changed = full[0].method_config | {"width": 9}
    assert found["wide"][0] == full[0].model_copy(update={"method_config": changed})
    assert len({spec.key for runs in found.values() for spec in runs}) == 9 * 6


def test_a_twin_is_trained_with_the_budget_of_the_full_method(tmp_path):
    found = specs(planned(tmp_path, settings={"lr": "0.5", "trainer.epochs": "7"}))
    assert found["tiny"][0].method == "tiny"
    assert found["tiny"][0].trainer == found["full"][0].trainer
    assert (found["tiny"][0].trainer.lr, found["tiny"][0].trainer.epochs) == (0.5, 7)


def test_a_switch_that_is_set_already_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no_bias sets bias=False, which the full method has"):
        planned(tmp_path, settings={"parts.bias": "false"})


def test_means_and_differences_are_those_of_the_stored_predictions(tmp_path):
    plan, truth = made(tmp_path, ["wide"])
    study = Study.read(plan, METRICS, tmp_path)
    table = study_table(study).set_index(["variant", "metric"])
    row = table.loc[("wide", METRICS[0])]
    folds = [
        np.mean([truth["wide", s, f] - truth["full", s, f] for s in (0, 1)]) for f in (0, 1, 2)
    ]
    expected = PairedDifference.of(folds, 60 / 120)
    assert row["mean"] == pytest.approx(np.mean([v for k, v in truth.items() if k[0] == "wide"]))
    assert (row["difference"], row["low"], row["p"]) == pytest.approx(
        (expected.mean, expected.low, expected.p)
    )
    assert (row["folds"], row["done"], row["asked"], row["status"]) == (3, 6, 6, "complete")
    assert row["run_keys"].split() == [task.spec.key for task in plan[1].tasks]
    assert np.isnan(table.loc[("full", METRICS[0])]["difference"])


def test_a_row_that_lacks_a_run_says_so_and_has_no_difference(tmp_path):
    plan, _ = made(tmp_path, ["wide", "no_bias"], skip={("wide", 1, 2)})
    fail(tmp_path, specs(plan)["wide"][-1], "out of memory")
    study = Study.read(plan, METRICS, tmp_path)
    wide = next(row for row in study.rows if row.variant.name == "wide")
    found = study.estimate(wide, METRICS[0])
    assert found.difference.n == 0
    assert "5 of 6" in wide.cells.coverage
    assert mean_text(found.spread, wide.cells, METRICS[0]).partition(" ")[0].endswith("*")
    assert any(
        note.startswith("wide: incomplete (1 failed): out of memory") for note in notes(study)
    )
    text = study_latex(study, "leaf", METRICS[:1])
    assert "^{*}" in text
    assert "fewer runs than asked (a wide body 5 of 6)" in text
    assert not any("wide" in sentence for sentence in verdicts(study))


def test_without_the_full_method_there_is_no_difference_at_all(tmp_path):
    plan, _ = made(tmp_path, ["wide"], skip={("full", 0, 0)})
    study = Study.read(plan, METRICS, tmp_path)
    assert study_table(study)["difference"].isna().all()
    assert any("no difference to it is given" in note for note in notes(study))


def test_a_difference_in_words_has_its_sign_and_its_interval():
    found = PairedDifference.of([0.01, 0.02, 0.03], 0.0)
    half = 4.302653 * 0.01 / np.sqrt(3)
    low, high = f"{100 * (0.02 - half):+.1f}", f"{100 * (0.02 + half):+.1f}"
    assert difference_text(found, METRICS[0]) == f"+2.0 [{low}, {high}]"
    assert difference_text(PairedDifference.of([-0.00001], 0.0), METRICS[0]) == "0.0"
    assert difference_text(PairedDifference.of([0.5], 0.0), METRICS[0]) == "+50.0"
    assert difference_text(PairedDifference.of([], 0.0), METRICS[0]) == "–"


def test_the_folder_holds_csv_page_latex_and_picture_and_is_the_same_twice(tmp_path):
    plan, _ = made(tmp_path / "runs", ["wide", "no_dropout"])
    study = Study.read(plan, METRICS, tmp_path / "runs")
    first, second = (write_study(study, tmp_path / out) for out in ("a", "b"))
    assert first.relative_to(tmp_path / "a").as_posix() == "embedded/toy/toy/kfold-3/parts"
    names = sorted(path.name for path in first.iterdir())
    assert names == [
        "README.md", "ablation.csv", "ablation_coarse-summed.tex", "ablation_leaf.tex",
        "differences.png",
    ]  # fmt: skip
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    table = pd.read_csv(first / "ablation.csv", keep_default_na=False)
    marks = table.groupby("variant", sort=False)[["bias", "dropout", "half"]].first()
    assert marks.loc["no_dropout"].tolist() == ["yes", "no", "no"]
    assert marks.loc["wide"].tolist() == ["", "", ""]


def test_latex_escapes_what_it_prints_and_every_row_has_every_column(tmp_path):
    plan, _ = made(tmp_path, ["no_dropout", "tiny"])
    text = study_latex(Study.read(plan, METRICS, tmp_path), "leaf", METRICS[:1])
    assert r"without dropout \& noise" in text
    rows = [
        line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line
    ]
    cells = {line.replace(r"\&", "").count("&") for line in rows}
    assert cells == {1 + 3 + 2 - 1}
    (full,) = [line for line in rows if line.startswith("full")]
    assert full.count(r"\checkmark") == 3
