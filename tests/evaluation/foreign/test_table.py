"""Tables of predictions that other tools write are read as the same predictions."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from foreign_tables import clam, frame, stamp, written
from prediction_cases import BRACS, FLAT, GRADES, random_predictions

from mil_bench.base import tables
from mil_bench.base.errors import DataError, TaxonomyError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.foreign import table as table_module
from mil_bench.evaluation.foreign.table import read_foreign
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.predictions_csv import write_predictions
from mil_bench.evaluation.scores import Scores, leaf_scores

P7 = random_predictions(BRACS, n=60, skill=1)
P2 = random_predictions(FLAT, n=60, skill=1)


def same(read, p):
    """Whether labels and probabilities are those of ``p``, to the last bit."""
    np.testing.assert_array_equal(read.heads[LEAF], p.heads[LEAF])
    np.testing.assert_array_equal(read.labels, p.labels)
    return True


@pytest.mark.parametrize("form", ["{}", "leaf:{}", "prob_{}", "p_{}", "{}_prob", "PROB_{}"])
def test_plain_files_are_read_exactly_in_any_order_of_the_columns(tmp_path, form):
    table = frame(P7, form, patient_id=P7.groups).sample(frac=1, axis=1, random_state=0)
    read = Predictions.read(written(tmp_path / "p.csv", table), BRACS)
    assert same(read, P7)
    assert read.groups.tolist() == P7.groups.tolist()
    assert leaf_scores(read) == leaf_scores(P7)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("p.csv", {}),
        ("p.csv.gz", {}),
        ("p.tsv", {"sep": "\t"}),
        ("p.csv", {"sep": ";", "decimal": ","}),
        ("p.xlsx", {}),
        ("p.csv", {"encoding": "utf-8-sig", "lineterminator": "\r\n"}),
    ],
)
def test_every_kind_of_file_gives_the_same_predictions(tmp_path, name, how):
    p = Predictions.read(written(tmp_path / name, frame(P7), **how), BRACS)
    np.testing.assert_allclose(p.heads[LEAF], P7.heads[LEAF], rtol=1e-14)
    assert p.labels.tolist() == P7.labels.tolist()


def test_clam_counts_classes_in_the_order_of_the_tree_and_says_so(tmp_path):
    path = written(tmp_path / "fold_0.csv", clam(P7))
    table = read_foreign(path, BRACS)
    assert same(Predictions.read(path, BRACS), P7)
    assert [n for n in table.notes if "order of the tree: 0 N, 1 PB" in n]
    assert len(table.notes) == 1  # Y_hat agrees with the probabilities


def test_clam_without_a_tree_has_numbered_classes(tmp_path):
    path = written(tmp_path / "fold_0.csv", clam(P2))
    read = Predictions.read(path)
    assert read.taxonomy.leaves == ("0", "1")
    assert same(read, P2)


def test_stamp_is_read_by_its_target(tmp_path):
    path = written(tmp_path / "patient-preds.csv", stamp(P7))
    table = read_foreign(path)
    assert table.tree.leaves == BRACS.leaves
    assert "columns not used: loss" in table.notes
    assert same(Predictions.read(path, BRACS), P7)
    assert Predictions.read(path).patients_known


def test_the_classes_of_a_file_without_a_tree_keep_the_order_of_its_columns(tmp_path):
    table = frame(P7)[["slide_id", "label", *reversed(BRACS.leaves)]]
    read = Predictions.read(written(tmp_path / "p.csv", table))
    assert read.taxonomy.leaves == BRACS.leaves[::-1]
    assert leaf_scores(read)["macro_auc"] == pytest.approx(leaf_scores(P7)["macro_auc"])


def test_a_class_without_a_slide_is_known_by_its_column(tmp_path):
    p = random_predictions(BRACS, n=20, labels=[0, 1] * 10)
    assert read_foreign(written(tmp_path / "p.csv", frame(p))).tree.leaves == BRACS.leaves


def test_our_own_files_are_read_with_their_sets_heads_and_tree(tmp_path):
    p = random_predictions(BRACS, heads=("coarse",))
    write_predictions(tmp_path / "predictions.csv", {"val": p, "test": p})
    table = read_foreign(tmp_path / "predictions.csv", BRACS)
    assert set(table.sets) == {"val", "test"}
    assert Scores.of(Predictions.read(tmp_path / "predictions.csv", BRACS)).values == pytest.approx(
        Scores.of(p).values, nan_ok=True
    )
    assert "coarse:benign" in read_foreign(tmp_path / "predictions.csv").notes[-1]


def test_another_tree_over_the_same_leaves_drops_the_heads_of_the_first(tmp_path):
    p = random_predictions(BRACS, heads=("coarse",))
    write_predictions(tmp_path / "p.csv", {"test": p})
    two = Taxonomy.from_tree(
        "two", {"no": ["N", "PB", "UDH", "FEA", "ADH"], "cancer": ["DCIS", "IC"]}
    )
    table = read_foreign(tmp_path / "p.csv", two)
    assert set(table.heads) == {LEAF}
    assert table.notes == ("columns not used: coarse:benign, coarse:atypical, coarse:malignant",)


@pytest.mark.parametrize("column", ["yes", "prob_yes", "p_1", "prob", "score"])
def test_one_column_of_two_classes_is_the_positive_one_and_a_note_says_so(tmp_path, column):
    table = frame(P2).drop(columns=["no", "yes"]).assign(**{column: P2.heads[LEAF][:, 1]})
    path = written(tmp_path / "p.csv", table)
    assert "is read as the probability of yes" in " ".join(read_foreign(path, FLAT).notes)
    np.testing.assert_allclose(Predictions.read(path, FLAT).heads[LEAF], P2.heads[LEAF], atol=1e-15)


def test_the_column_of_the_first_class_alone_is_its_probability(tmp_path):
    table = frame(P2).drop(columns="yes")
    read = Predictions.read(written(tmp_path / "p.csv", table), FLAT)
    np.testing.assert_allclose(read.heads[LEAF], P2.heads[LEAF], atol=1e-15)


def test_a_nameless_column_of_named_classes_is_refused_without_a_tree(tmp_path):
    table = frame(P2).drop(columns=["no", "yes"]).assign(prob=0.5)
    with pytest.raises(DataError, match=r"holds the probability of one of no and yes, .*--tree"):
        read_foreign(written(tmp_path / "p.csv", table))


# Numbers: percentages, rounded ones, logits.


def test_percentages_are_recognised(tmp_path):
    table = frame(P7)
    table[list(BRACS.leaves)] *= 100
    path = written(tmp_path / "p.csv", table)
    assert "read as percentages" in " ".join(read_foreign(path, BRACS).notes)
    np.testing.assert_allclose(Predictions.read(path, BRACS).heads[LEAF], P7.heads[LEAF])
    signs = table.assign(**{leaf: table[leaf].map("{:.6f} %".format) for leaf in BRACS.leaves})
    read = Predictions.read(written(tmp_path / "q.csv", signs), BRACS)
    np.testing.assert_allclose(read.heads[LEAF], P7.heads[LEAF], atol=1e-7)


def test_rounded_probabilities_are_divided_by_their_sum_and_it_is_said(tmp_path):
    path = written(tmp_path / "p.csv", frame(P7).round(2))
    read, rounded = Predictions.read(path, BRACS), P7.heads[LEAF].round(2)
    np.testing.assert_allclose(read.heads[LEAF], rounded / rounded.sum(1, keepdims=True))
    notes = " ".join(read_foreign(path, BRACS).notes)
    low, high = rounded.sum(1).min(), rounded.sum(1).max()
    assert f"add up to {low:.4g} to {high:.4g} and are divided by their sum" in notes
    ties = int(((rounded == rounded.max(1, keepdims=True)).sum(1) > 1).sum())
    assert (f"{ties} slide" in notes) == (ties > 0)


def test_half_precision_is_accepted(tmp_path):
    half = frame(P7)
    half[list(BRACS.leaves)] = half[list(BRACS.leaves)].astype(np.float16).astype(float)
    expected = leaf_scores(P7)
    scores = leaf_scores(Predictions.read(written(tmp_path / "p.csv", half), BRACS))
    assert scores["brier"] == pytest.approx(expected["brier"], abs=1e-3)


def test_logits_are_refused_unless_they_are_said_to_be(tmp_path):
    table = frame(P7)
    table[list(BRACS.leaves)] = np.log(P7.heads[LEAF]) - 3
    path = written(tmp_path / "p.csv", table)
    with pytest.raises(DataError, match=r"neither probabilities nor percentages.*--logits if") as e:
        read_foreign(path, BRACS)
    assert "softmax" not in str(e.value)
    read = Predictions.read(path, BRACS, logits=True)
    np.testing.assert_allclose(read.heads[LEAF], P7.heads[LEAF], rtol=1e-12)


def test_logits_of_one_column_go_through_the_sigmoid(tmp_path):
    odds = np.log(P2.heads[LEAF][:, 1] / P2.heads[LEAF][:, 0])
    table = frame(P2).drop(columns=["no", "yes"]).assign(logit=odds)
    read = Predictions.read(written(tmp_path / "p.csv", table), FLAT, logits=True)
    np.testing.assert_allclose(read.heads[LEAF], P2.heads[LEAF], rtol=1e-12)


def test_probabilities_that_are_said_to_be_logits_are_refused(tmp_path):
    with pytest.raises(DataError, match="hold probabilities already"):
        read_foreign(written(tmp_path / "p.csv", frame(P7)), BRACS, logits=True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.assign(N=t["N"] + 0.5), "do not sum to 1|neither probabilities"),
        (lambda t: t.assign(N="?"), r"line 2, column 'N': '\?' is not a number"),
        (lambda t: t.assign(N="1_0"), "'1_0' is not a number"),
        (lambda t: t.assign(N=""), "'' is not a number"),
        (lambda t: t.assign(N="nan"), "NaN or infinite"),
        (lambda t: t.assign(N="inf"), "NaN or infinite"),
        (lambda t: t.assign(label="X"), "line 2: unknown label 'X'"),
        (lambda t: t.assign(label=""), "line 2 has no label"),
        (lambda t: t.assign(slide_id=""), "line 2 has no slide"),
        (lambda t: t.drop(columns="slide_id"), "expected one with the slide"),
        (lambda t: t.rename(columns={"DCIS": "DCSI"}), r"no columns \['DCIS'\].*'DCSI'"),
        (lambda t: t.assign(fold="a"), "'a' is not a whole number"),
        (lambda t: t.assign(set="later"), r"has the sets \['later'\]"),
        (lambda t: t.assign(model=["a", "b"] * 30), "predictions of 2 models"),
        (lambda t: t.assign(slide_id="s"), "lists slide 's' twice in the test set .lines 2 and 3"),
    ],
)
def test_a_damaged_table_is_refused_in_a_sentence_that_names_the_place(tmp_path, change, sentence):
    path = written(tmp_path / "p.csv", change(frame(P7)))
    with pytest.raises((DataError, TaxonomyError), match=sentence):
        Predictions.read(path, BRACS)


def test_a_column_that_is_there_twice_and_a_line_that_is_cut_are_refused(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("slide_id,label,yes,no,yes\na,no,0.5,0.5,0.5\n")
    with pytest.raises(DataError, match=r"columns \['yes'\] more than once"):
        read_foreign(path, FLAT)
    path.write_text("slide_id,label,yes,no\na,no,0.5,0.5\n\nb,no,0.5\n")
    with pytest.raises(DataError, match="line 4 has 3 cells, the header 4"):
        read_foreign(path, FLAT)


def test_a_file_that_unpacks_to_far_more_than_slides_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "p.csv.gz"
    path.write_bytes(gzip.compress(b"slide_id,label,no,yes\n" + b"a,no,1,0\n" * 200))
    monkeypatch.setattr(table_module, "MOST_ROWS", 100)
    with pytest.raises(DataError, match="it has more than 100 rows"):
        read_foreign(path, FLAT)
    monkeypatch.setattr(tables, "LONGEST_LINE", 1000)
    path.write_bytes(gzip.compress(b"0" * 2000))
    with pytest.raises(DataError, match="a line of more than 1,000 characters"):
        read_foreign(path, FLAT)


def test_labels_of_any_case_and_numbers_of_the_same_value_are_classes(tmp_path):
    p = random_predictions(GRADES, n=30)
    table = frame(p).assign(label=p.labels.astype(float))
    assert same(Predictions.read(written(tmp_path / "p.csv", table), GRADES), p)
    table = frame(P7).assign(label=[BRACS.leaves[y].lower() for y in P7.labels])
    assert same(Predictions.read(written(tmp_path / "q.csv", table), BRACS), P7)


# Decisions alone.


def test_decisions_alone_give_the_scores_of_decisions_and_no_others(tmp_path):
    decided = [BRACS.leaves[k] for k in P7.heads[LEAF].argmax(1)]
    table = frame(P7)[["slide_id", "label"]].assign(pred=decided)
    path = written(tmp_path / "p.csv", table)
    read, whole = Predictions.read(path, BRACS), Scores.of(P7)
    assert not read.ranked
    scores = Scores.of(read)
    decisions = {"accuracy", "balanced_accuracy", "macro_f1", "worst_sensitivity"}
    assert {s.metric for s in scores.values if s.is_leaf and not s.name} == decisions
    assert {s.metric for s in scores.values if s.name} == {
        *("sensitivity", "specificity", "ppv", "npv", "f1"),
    }
    for score, value in scores.values.items():
        if score.is_leaf:
            assert value == pytest.approx(whole.values[score], nan_ok=True), score
    assert "scores of probabilities are empty" in " ".join(read_foreign(path, BRACS).notes)


def test_a_decision_beside_probabilities_is_compared_with_them(tmp_path):
    other = (P2.heads[LEAF].argmax(1) + (np.arange(60) < 3)) % 2
    path = written(tmp_path / "p.csv", frame(P2, Y_hat=other))
    notes = " ".join(read_foreign(path, FLAT).notes)
    assert "Y_hat is not the most probable class of 3 slides of 60" in notes


# Folds, seeds and sets.


def test_folds_and_seeds_become_runs(tmp_path):
    table = frame(P7, fold=np.arange(60) % 3, seed=np.arange(60) // 30)
    runs = Predictions.read_runs(written(tmp_path / "p.csv", table), BRACS)
    assert list(runs) == [(seed, fold) for seed in (0, 1) for fold in (0, 1, 2)]
    assert runs[1, 2].slide_ids.tolist() == [f"s{i}" for i in range(30, 60) if i % 3 == 2]
    with pytest.raises(DataError, match="predictions of 6 runs"):
        Predictions.read(tmp_path / "p.csv", BRACS)


def test_a_column_split_holds_sets_or_folds(tmp_path):
    sets = np.where(np.arange(60) < 20, "Validation", "testing")
    path = written(tmp_path / "p.csv", frame(P7, split=sets))
    assert len(Predictions.read(path, BRACS)) == 40
    assert len(Predictions.read(path, BRACS, of_set="val")) == 20
    path = written(tmp_path / "q.csv", frame(P7, split=np.arange(60) % 2))
    assert list(Predictions.read_runs(path, BRACS)) == [(0, 0), (0, 1)]


def test_a_set_or_a_label_that_is_not_there_is_said(tmp_path):
    path = written(tmp_path / "p.csv", frame(P7, set="val"))
    with pytest.raises(DataError, match="has no test set; it has val"):
        Predictions.read(path, BRACS)
    path = written(tmp_path / "p.csv", frame(P7).drop(columns="label"))
    with pytest.raises(DataError, match="no column 'label'"):
        Predictions.read(path, BRACS)
