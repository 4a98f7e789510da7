"""Which rows, runs and scores an ablation has."""

from __future__ import annotations

from functools import cache

import pytest
import toy_parts  # noqa: F401  (registers the method)
from run_requests import request

from mil_bench.ablation.ablate import chosen_scores
from mil_bench.ablation.variants import plan_components
from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.evaluation.metrics import Score
from mil_bench.runs.task import DataRequest

TWO = Taxonomy.from_tree("two", {"x": ["a", "b"], "y": ["c"]})
FLAT = Taxonomy.flat("flat", "abc")
prepare = cache(DataRequest.prepare)


def planned(tmp_path, only=(), metrics=(), **changes):
    grid, machine = request(
        tmp_path, methods=["parts"], **{"folds": [0, 1, 2], "seeds": [0, 1], **changes}
    )
    return plan_components(grid, only, metrics, machine, prepare)


def specs(ablation):
    return {row.label: [task.spec for task in row.tasks] for row in ablation.rows}


def test_every_variant_gets_the_same_cells_and_only_its_own_changes(tmp_path):
    by_variant = specs(planned(tmp_path))
    assert list(by_variant) == [
        "full", "no_bias", "no_dropout", "no_half", "bare", "only_dropout", "wide", "narrow",
        "tiny",
    ]  # fmt: skip
    full = by_variant["full"]
    for runs in by_variant.values():
        assert [(s.seed, s.fold) for s in runs] == [(s.seed, s.fold) for s in full]
    changed = full[0].method_config | {"width": 9}
    assert by_variant["wide"][0] == full[0].model_copy(update={"method_config": changed})
    assert len({spec.key for runs in by_variant.values() for spec in runs}) == 9 * 6


def test_runs_are_ordered_fold_by_fold(tmp_path):
    tasks = planned(tmp_path, ["wide"]).tasks
    assert [task.spec.fold for task in tasks] == [0] * 4 + [1] * 4 + [2] * 4


def test_a_twin_is_trained_with_the_budget_of_the_full_method(tmp_path):
    by_variant = specs(planned(tmp_path, settings={"lr": "0.5", "trainer.epochs": "7"}))
    twin, full = by_variant["tiny"][0], by_variant["full"][0]
    assert twin.method == "tiny"
    assert twin.trainer == full.trainer
    assert (twin.trainer.lr, twin.trainer.epochs) == (0.5, 7)


def test_a_switch_that_is_set_already_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no_bias sets bias=False, which the full method already"):
        planned(tmp_path, settings={"parts.bias": "false"})


def test_rows_are_described_by_group_components_and_overrides(tmp_path):
    cells = planned(tmp_path).study.cells
    marks = {
        name: [row[part] for part in ("bias", "dropout", "half")] for name, row in cells.items()
    }
    assert marks["full"] == ["yes", "yes", "yes"]
    assert marks["no_dropout"] == ["yes", "no", "no"]  # half is within dropout
    assert marks["bare"] == ["no", "no", "no"]
    assert marks["wide"] == marks["tiny"] == ["", "", ""]
    assert cells["no_dropout"]["group"] == "one component left out"
    assert cells["no_dropout"]["change"] == "without dropout & noise"
    assert cells["no_bias"]["overrides"] == "bias=False"


def test_the_default_is_accuracy_and_auc_of_leaves_and_of_both_coarse_decisions():
    assert [*map(str, chosen_scores(TWO, []))] == [
        "balanced_accuracy",
        "macro_auc",
        "coarse_summed_balanced_accuracy",
        "coarse_summed_macro_auc",
        "coarse_direct_balanced_accuracy",
        "coarse_direct_macro_auc",
    ]
    assert chosen_scores(FLAT, []) == (Score("balanced_accuracy"), Score("macro_auc"))


def test_named_scores_are_kept_in_their_order_once(tmp_path):
    names = ["severity", "coarse_direct_macro_auc", "accuracy", "severity"]
    assert chosen_scores(TWO, names) == (
        Score.of_tree("severity"),
        Score("macro_auc", "coarse", "direct"),
        Score("accuracy"),
    )


@pytest.mark.parametrize(("tree", "name"), [(TWO, "macro_acu"), (FLAT, "coarse_summed_accuracy")])
def test_a_score_that_the_tree_does_not_have_is_refused(tree, name):
    with pytest.raises(UnknownNameError, match=f"metric .* of tree '{tree.name}'"):
        chosen_scores(tree, [name])
