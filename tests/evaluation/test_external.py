"""Scoring predictions made anywhere: plain forms, labels from a dataset, other trees."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from prediction_cases import BRACS, GRADES, random_predictions

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.external import read_external
from mil_bench.evaluation.predictions_csv import write_predictions
from mil_bench.evaluation.scores import Scores, leaf_scores


def frame(p, form="{}", **extra):
    columns = {form.format(c): p.heads[LEAF][:, k] for k, c in enumerate(p.taxonomy.leaves)}
    labels = [p.taxonomy.leaves[y] for y in p.labels]
    return pd.DataFrame({"slide_id": p.slide_ids, "label": labels, **extra, **columns})


@pytest.mark.parametrize("form", ["{}", "leaf:{}", "prob_{}", "p_{}"])
def test_plain_files_give_the_scores_of_the_same_predictions(tmp_path, form):
    p = random_predictions(BRACS, skill=1)
    frame(p, form, patient_id=p.groups).sample(frac=1, axis=1, random_state=0).to_csv(
        tmp_path / "p.csv", index=False
    )
    external = read_external(tmp_path / "p.csv", BRACS)
    assert list(external.sets) == ["test"]
    assert leaf_scores(external.sets["test"]) == leaf_scores(p)
    assert external.sets["test"].groups.tolist() == p.groups.tolist()
    assert external.notes == ()


def test_our_own_files_are_accepted_with_their_sets_and_heads(tmp_path):
    p = random_predictions(BRACS, heads=("coarse",))
    write_predictions(tmp_path / "p.csv", {"val": p, "test": p})
    external = read_external(tmp_path / "p.csv", BRACS)
    assert list(external.sets) == ["val", "test"]
    assert set(external.sets["test"].heads) == {"leaf", "coarse"}


def test_tab_separated_files_and_probabilities_of_four_decimals_are_accepted(tmp_path):
    p = random_predictions(GRADES, skill=1)
    frame(p).round(4).to_csv(tmp_path / "p.tsv", index=False, sep="\t")
    scores = leaf_scores(read_external(tmp_path / "p.tsv", GRADES).sets["test"])
    expected = leaf_scores(p)
    for name in scores.keys() - {"ece"}:  # bins jump at rounded confidences
        assert scores[name] == pytest.approx(expected[name], abs=1e-3), name


def test_another_tree_over_the_same_leaves_drops_the_heads_of_the_first(tmp_path):
    p = random_predictions(BRACS, heads=("coarse",))
    write_predictions(tmp_path / "p.csv", {"test": p})
    two = Taxonomy.from_tree(
        "two", {"no": ["N", "PB", "UDH", "FEA", "ADH"], "cancer": ["DCIS", "IC"]}
    )
    external = read_external(tmp_path / "p.csv", two)
    assert set(external.sets["test"].heads) == {"leaf"}
    assert external.notes == ("columns not used: coarse:benign, coarse:atypical, coarse:malignant",)


def test_labels_and_patients_come_from_the_dataset_when_the_file_has_none(tmp_path):
    p = random_predictions(BRACS, n=20)
    frame(p).drop(columns="label").to_csv(tmp_path / "p.csv", index=False)
    labels = {s: BRACS.leaves[y] for s, y in zip(p.slide_ids, p.labels, strict=True)}
    groups = dict(zip(p.slide_ids, p.groups, strict=True))
    external = read_external(
        tmp_path / "p.csv", BRACS, {**labels, "s98": "N", "s99": "N"}, {**groups, "s98": "x"}
    )
    assert external.sets["test"].labels.tolist() == p.labels.tolist()
    assert external.sets["test"].groups.tolist() == p.groups.tolist()
    assert external.notes == ("2 of the dataset's 22 slides are not in the file",)


def test_without_patients_every_slide_stands_for_itself_and_the_note_says_so(tmp_path):
    p = random_predictions(BRACS, n=5)
    frame(p).to_csv(tmp_path / "p.csv", index=False)
    external = read_external(tmp_path / "p.csv", BRACS)
    assert len(set(external.sets["test"].groups)) == 5
    assert "no patient" in external.notes[0]


def test_labels_that_contradict_the_dataset_are_refused(tmp_path):
    p = random_predictions(BRACS, n=3, labels=[0, 1, 2])
    frame(p).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=r"1 labels differ .*s1 \(PB, dataset: IC\)"):
        read_external(tmp_path / "p.csv", BRACS, {"s0": "N", "s1": "IC", "s2": "UDH"})


def test_slides_outside_the_dataset_are_refused(tmp_path):
    p = random_predictions(BRACS, n=2)
    frame(p).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=r"1 slides are not in the dataset \(first: \['s1'\]\)"):
        read_external(tmp_path / "p.csv", BRACS, {"s0": BRACS.leaves[p.labels[0]]})


def test_no_label_anywhere_says_where_to_take_them_from(tmp_path):
    frame(random_predictions(n=3)).drop(columns="label").to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=r"no column 'label'.*--dataset"):
        read_external(tmp_path / "p.csv", BRACS)


def test_a_missing_class_names_the_nearest_column(tmp_path):
    p = random_predictions(BRACS, n=3)
    frame(p, "prob_{}").rename(columns={"prob_DCIS": "prob_DCSI"}).to_csv(
        tmp_path / "p.csv", index=False
    )
    with pytest.raises(DataError, match=r"no columns \['prob_DCIS'\].*'prob_DCSI'"):
        read_external(tmp_path / "p.csv", BRACS)


def test_logits_are_refused_with_the_cure(tmp_path):
    p = random_predictions(BRACS, n=3)
    p.heads[LEAF][:] = np.log(p.heads[LEAF]) - 3
    frame(p).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match="apply softmax"):
        read_external(tmp_path / "p.csv", BRACS)


def test_slides_without_a_patient_are_told_from_patients_whose_name_looks_like_it(tmp_path):
    file = tmp_path / "p.csv"
    header = "slide_id,label,patient_id," + ",".join(BRACS.leaves)
    row = ",1" + ",0" * (len(BRACS.leaves) - 1)
    leaf = BRACS.leaves[0]
    for patients, known in ((("", ""), False), (("", "p"), True), (("slide:b", "slide:a"), True)):
        rows = [f"{s},{leaf},{p}{row}" for s, p in zip("ab", patients, strict=True)]
        file.write_text("\n".join([header, *rows]) + "\n")
        predictions = read_external(file, BRACS).sets["test"]
        assert predictions.patients_known is known
        assert Scores.of(predictions).patients_known is known
