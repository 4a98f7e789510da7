"""Which scores a study shows, and where."""

from __future__ import annotations

import pytest

from mil_bench.ablation.metrics import by_level, chosen_metrics, title
from mil_bench.base.errors import UnknownNameError
from mil_bench.base.taxonomy import Taxonomy

TWO = Taxonomy.from_tree("two", {"x": ["a", "b"], "y": ["c"]})
FLAT = Taxonomy.flat("flat", "abc")


def test_the_default_is_accuracy_and_auc_of_leaves_and_of_both_coarse_decisions():
    assert by_level(chosen_metrics(TWO, [])) == {
        "leaf": ["balanced_accuracy", "macro_auc"],
        "coarse summed": ["coarse_summed_balanced_accuracy", "coarse_summed_macro_auc"],
        "coarse direct": ["coarse_direct_balanced_accuracy", "coarse_direct_macro_auc"],
    }
    assert chosen_metrics(FLAT, []) == ["balanced_accuracy", "macro_auc"]


def test_scores_of_the_tree_stand_with_the_leaves():
    names = ["severity", "hf", "leaf_accuracy", "coarse_path_accuracy", "inconsistency"]
    assert by_level(chosen_metrics(TWO, names)) == {
        "leaf": ["severity", "hf", "leaf_accuracy", "inconsistency"],
        "coarse path": ["coarse_path_accuracy"],
    }


def test_a_title_does_not_repeat_the_level_above_the_table():
    assert title("coarse_direct_macro_auc") == title("macro_auc") == "AUC"
    assert title("severity") == "Severity"


@pytest.mark.parametrize(("tree", "name"), [(TWO, "macro_acu"), (FLAT, "coarse_summed_accuracy")])
def test_a_score_that_the_tree_does_not_have_is_refused(tree, name):
    with pytest.raises(UnknownNameError, match=f"metric .* of tree '{tree.name}'"):
        chosen_metrics(tree, [name])
