"""Models trained on some sites, tested on another: stored runs, boards, refusals."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from trained_site import TREE, train, write_site, write_sites

from mil_bench import leaderboard, predict
from mil_bench.base.errors import DataError, FeatureError, RunError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.spec import TransferredSpec
from mil_bench.evaluation.inference.transfer import transfer
from mil_bench.evaluation.metrics import Score
from mil_bench.runs.directory import RunDirectory, run_directories
from mil_bench.runs.load_run import load_trained
from mil_bench.runs.stored_predictions import stored_predictions


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Two methods trained on sites 1 to 7, tested on 8 to 10."""
    root = tmp_path_factory.mktemp("sites")
    write_sites(root)
    train(root, root / "ab.toml", ["abmil", "hmil"], settings={"epochs": 3, "lr": 1e-3})
    for method in ("abmil", "hmil"):
        ask(root, method)
    return root


def ask(root, method, dataset="c.toml", **options):
    return predict(
        dataset=root / dataset,
        method=method,
        trained_on="ab",
        runs=root / "runs",
        cache_dir=root / "cache",
        device="cpu",
        **options,
    )


def transferred(root):
    specs = {d: d.read_definition() for d in run_directories(root / "runs")}
    return {d: spec for d, spec in specs.items() if isinstance(spec, TransferredSpec)}


def test_every_model_becomes_a_run_that_names_its_source(sites):
    runs = transferred(sites)
    assert len(runs) == 6
    for directory, spec in runs.items():
        assert directory.path.parts[-3:] == ("c", spec.method, spec.key)
        assert (spec.dataset, spec.trained_on) == ("c", "ab")
        assert RunDirectory.of(sites / "runs", spec.source).status() == "done"
        test = stored_predictions(directory, Taxonomy.from_dict(spec.tree))["test"]
        manifest = pd.read_csv(sites / "cohort" / "manifest.csv")
        here = manifest[manifest.site.isin(["site_8", "site_9", "site_10"])]
        assert dict(zip(test.slide_ids, test.groups, strict=True)) == dict(
            zip(here.slide_id, here.patient_id, strict=True)
        )


def test_the_same_command_keeps_what_is_stored(sites):
    before = {d: d.result.read_text() for d in transferred(sites)}
    again = ask(sites, "abmil")
    assert again.validation is not None
    assert again.validation.stored_before == 3
    assert {d: d.result.read_text() for d in transferred(sites)} == before
    assert again.scores["accuracy"] == pytest.approx(
        (again.table["class"] == again.table["label"]).mean()
    )


def test_the_board_has_own_test_these_slides_and_the_drop(sites):
    boards = {board.title: board for board in leaderboard(sites / "runs")}
    title = "trained on ab (kfold-3), tested on c, simulated8 (simulated)"
    assert set(boards) == {title, "ab, simulated8, kfold-3 (simulated)"}
    board, own_board = boards[title], boards["ab, simulated8, kfold-3 (simulated)"]
    table = board["transfer"].set_index(["method", "score"])
    accuracy = table.loc[("hmil", "balanced_accuracy")]
    overall = own_board["overall"].set_index("method").loc["hmil"]
    here = board["overall"].set_index("method").loc["hmil"]
    assert accuracy["own"] == pytest.approx(overall["balanced_accuracy"])
    assert accuracy["own_low"] == pytest.approx(overall["balanced_accuracy_low"], nan_ok=True)
    assert accuracy["here"] == pytest.approx(here["balanced_accuracy"])
    assert accuracy["drop"] == pytest.approx(accuracy["own"] - accuracy["here"])
    assert accuracy["models"] == 3
    assert set(board["overall"]["evidence"]) == {"transferred"}
    assert "transfer" not in own_board.tables
    assert " from ab to c for " in board.verdict
    expected = by_hand(sites, "hmil")[Score("macro_auc")].drop
    auc = table.loc[("hmil", "macro_auc")]
    assert auc["drop"] == pytest.approx(expected.value)


def by_hand(sites, method):
    own, here = {}, {}
    for directory, spec in transferred(sites).items():
        if spec.method == method:
            tree = Taxonomy.from_dict(spec.tree)
            source = RunDirectory.of(sites / "runs", spec.source)
            here[spec.seed, spec.fold] = stored_predictions(directory, tree)["test"]
            own[spec.seed, spec.fold] = stored_predictions(source, tree)["test"]
    return transfer(own, here, 100)


def test_without_the_runs_of_the_models_there_is_no_drop_and_a_note(sites, tmp_path):
    shutil.copytree(sites / "runs" / "c", tmp_path / "runs" / "c")
    (board,) = leaderboard(tmp_path / "runs")
    assert "transfer" not in board.tables
    assert any("no drop is shown for" in caveat for caveat in board.caveats)


def test_a_run_of_transferred_predictions_has_no_model(sites):
    directory = next(iter(transferred(sites)))
    with pytest.raises(RunError, match=r"holds transferred predictions of .* without a model"):
        load_trained(directory, "cpu")


def refused(sites, kind, match, path):
    with pytest.raises(kind, match=match) as caught:
        ask(sites, "abmil", path.name)
    assert "\n" not in str(caught.value)
    assert not (sites / "runs" / path.stem).exists()


def test_other_classes_are_refused(sites):
    fewer = TREE.replace(', "SCC"', "").replace('"NILM"', '"NILM", "other"')
    path = write_site(sites, "fewer", [9], tree=fewer)
    text = (sites / "cohort" / "manifest.csv").read_text()
    (sites / "cohort" / "renamed.csv").write_text(text.replace("SCC", "other"))
    path.write_text(path.read_text().replace("manifest.csv", "renamed.csv"))
    refused(sites, DataError, "other classes than the models .*other.*SCC", path)


def test_slides_of_the_training_are_refused(sites):
    path = write_site(sites, "mixed", [7, 8])
    refused(sites, DataError, "was trained on [0-9]+ of [0-9]+ slides of mixed", path)


def test_the_dataset_of_the_training_is_refused(sites):
    with pytest.raises(DataError, match="was trained on ab itself"):
        ask(sites, "abmil", "ab.toml")


def test_patients_with_ids_of_the_training_are_noted(sites):
    table = pd.read_csv(sites / "cohort" / "manifest.csv")
    trained = table.patient_id[table.site == "site_1"].iloc[0]
    chosen = table.site.isin(["site_8", "site_9", "site_10"])
    table.loc[chosen, "patient_id"] = np.where(
        np.arange(chosen.sum()) == 0, trained, table.patient_id[chosen]
    )
    table.to_csv(sites / "cohort" / "shared.csv", index=False)
    path = write_site(sites, "shared", [8, 9, 10])
    path.write_text(path.read_text().replace("manifest.csv", "shared.csv"))
    notes = ask(sites, "abmil", "shared.toml", fold=0).notes
    assert any(f"1 patient of shared has the id of a training patient (first: {trained})" in n
               for n in notes)  # fmt: skip
    shutil.rmtree(sites / "runs" / "shared")


def test_another_encoder_is_refused(sites, tmp_path):
    path = write_site(sites, "renamed-encoder", [8, 9, 10])
    source = next((sites / "cohort").glob("*/features_simulated8"))
    shutil.copytree(source, sites / "other" / "features_uni_v1")
    path.write_text(path.read_text().replace('features = "cohort"', 'features = "other"'))
    refused(sites, FeatureError, "trained on features of simulated8, but", path)
