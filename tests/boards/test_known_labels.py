"""Stored labels and patients against the dataset itself, where it is at hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from prediction_cases import random_predictions
from run_folders import finish, make_spec, protect

from mil_bench.base.errors import MilBenchError
from mil_bench.boards.collect import collect
from mil_bench.boards.frames import leaderboard
from mil_bench.boards.known_labels import with_known_labels
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.load import at_level, load_dataset, load_labels


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digit-bags")


def predictions_for(dataset, slides=40):
    """Predictions of the first slides, with their true labels and patients."""
    table, tree = dataset.manifest.table.head(slides), dataset.taxonomy
    labels = [tree.index(label) for label in table["label"]]
    p = random_predictions(tree, labels=labels, skill=1.0)
    units = dataset.manifest.clusters()
    ids = table["slide_id"].to_numpy().astype(str)
    return replace(p, slide_ids=ids, groups=np.array([units[s] for s in ids]))


def spec_for(dataset, **changes):
    values = {"tree": dataset.taxonomy, "labels_digest": dataset.manifest.digest(), **changes}
    return make_spec(dataset=dataset.name, **values)


def records_of(folder, spec, predictions, **result):
    protect(finish(folder, spec, predictions, **result)[0])
    return with_known_labels(collect(folder))


def test_true_labels_of_embedded_data_are_verified(tmp_path, digits):
    (record,) = records_of(tmp_path, spec_for(digits), predictions_for(digits))
    assert (record.status, record.labels) == ("done", "verified")
    (board,) = leaderboard(tmp_path)
    assert not any("not verified" in note for note in board.caveats)


def relabelled(p):
    labels = p.labels.copy()
    labels[3] = (labels[3] + 1) % 7
    return replace(p, labels=labels)


def regrouped(p):
    return replace(p, groups=np.array([*p.groups[:-1], "somebody"]))


def renamed(p):
    return replace(p, slide_ids=np.array([*p.slide_ids[:-1], "slide-of-mine"]))


@pytest.mark.parametrize(
    ("forge", "sentence"),
    [
        (relabelled, r"the (val|test) set has other labels than the dataset for 1 slide \(first: "),
        (regrouped, "has other patients than the dataset for 1 slide .*'somebody', in the dataset"),
        (renamed, r"has 1 slide that the dataset lacks \(first: slide-of-mine\)"),
    ],
)
def test_what_the_dataset_does_not_say_is_changed_although_the_digest_fits(
    tmp_path, digits, forge, sentence
):
    (record,) = records_of(tmp_path, spec_for(digits), forge(predictions_for(digits)))
    assert record.status == "changed"
    assert record.scores is None
    assert not record.sets
    assert re.search(sentence, record.reason)
    (board,) = leaderboard(tmp_path)
    assert "no result (1 changed)" in board.problems[0]


def test_labels_of_an_upper_level_and_slides_without_features_are_found(tmp_path, digits):
    coarse = at_level(digits, "coarse")
    gone = digits.manifest.slide_ids[-2:]
    rest = digits.manifest.keep(set(digits.manifest.slide_ids) - set(gone))
    records_of(tmp_path, spec_for(coarse), predictions_for(coarse))
    spec = spec_for(digits, labels_digest=rest.digest())
    records = records_of(tmp_path, spec, predictions_for(digits), missing=gone)
    assert {r.labels for r in records} == {"verified"}
    assert len(records) == 2


def test_other_data_of_the_name_are_not_verified_and_the_board_says_so_once(tmp_path, digits):
    for seed in (0, 1):
        records_of(
            tmp_path, spec_for(digits, labels_digest="0ther", seed=seed), predictions_for(digits)
        )
    assert {r.labels for r in with_known_labels(collect(tmp_path))} == {"not verified"}
    (board,) = leaderboard(tmp_path)
    assert sum("labels not verified" in note for note in board.caveats) == 1


def test_own_data_are_verified_by_their_file(tmp_path):
    """A file is at hand only when it is named."""
    (tmp_path / "labels.csv").write_text("slide_id,label\n" + "s1,no\ns2,yes\ns3,no\ns4,yes\n")
    own_file = tmp_path / "own.toml"
    own_file.write_text('name = "own"\nlabels = "labels.csv"\nfeatures = "none"\n')
    own = load_labels(str(own_file), DatasetOptions())
    spec = spec_for(own, kind="real")
    finish(tmp_path / "runs", spec, predictions_for(own))
    records = collect(tmp_path / "runs")
    assert with_known_labels(records)[0].labels == "not verified"
    assert with_known_labels(records, str(own_file))[0].labels == "verified"
    (tmp_path / "labels.csv").write_text("slide_id,label\n" + "s1,no\ns2,yes\ns3,yes\ns4,no\n")
    assert with_known_labels(records, str(own_file))[0].labels == "not verified"
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(MilBenchError):
        with_known_labels(records, str(own_file))


def test_a_registered_dataset_without_its_files_is_not_at_hand(tmp_path, digits, monkeypatch):
    monkeypatch.delenv("MIL_BENCH_DATA", raising=False)
    finish(tmp_path / "runs", make_spec(dataset="bracs", kind="real"))
    records = collect(tmp_path / "runs")
    assert with_known_labels(records)[0].labels == "not verified"
    assert with_known_labels(records, data_root=tmp_path)[0].labels == "not verified"
    with pytest.raises(MilBenchError):
        with_known_labels(records, "bracs", tmp_path)
