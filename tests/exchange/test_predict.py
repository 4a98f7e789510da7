"""Predictions for slides of a folder of features: equal to the stored ones, or refused."""

from __future__ import annotations

import csv
import json
import shutil
from contextlib import suppress

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prediction_cases import BRACS
from trained_site import train, write_site, write_sites

from mil_bench import METHODS, predict, score
from mil_bench.base.errors import DataError, FeatureError, RunError, UnknownNameError, UsageError
from mil_bench.evaluation.predictions_csv import read_predictions
from mil_bench.exchange.models.ensemble import EnsemblePredictions
from mil_bench.exchange.models.new_slides import read_slide_list
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.load_run import load_trained


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("site")
    write_sites(root)
    train(root, root / "ab.toml", ["abmil", "hmil"])
    return root


def features(root):
    return root / "cohort"


def ask(root, *args, **options):
    return predict(*args, runs=root / "runs", cache_dir=root / "cache", device="cpu", **options)


def stored(run_directory):
    directory = RunDirectory(run_directory)
    tree = load_trained(directory, torch.device("cpu")).method.taxonomy
    return read_predictions(directory.predictions, tree)["test"]


KINDS = {
    "plain": ("abmil", "", {}),
    "heads": ("hmil", "", {}),
    "standardised": ("mean", "standardize = true", {}),
    "adapter": ("abmil", "", {"online": "adapter=4"}),
    "graph": ("patch-gcn", "", {}),
    "bf16": ("abmil", "", {"precision": "bf16"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_test_slides_get_the_stored_numbers_to_the_last_bit(site, tmp_path, kind):
    method, extra, options = KINDS[kind]
    shutil.copytree(site / "cohort", tmp_path / "cohort")
    data = write_site(tmp_path, f"ab-{kind}", range(1, 8), extra)
    (run,) = train(tmp_path, data, method, fold=1, **options)
    assert run.status == "done", run.error
    test = stored(run.path)
    slides = [f"{slide}.svs" for slide in test.slide_ids[::-1]]  # another order, other names
    predicted = ask(tmp_path, features(tmp_path), run=run.key[:8], slides=slides).predictions
    assert list(predicted.slide_ids) == list(test.slide_ids[::-1])
    assert set(predicted.mean) == set(test.heads)
    for level, probabilities in test.heads.items():
        assert np.array_equal(predicted.mean[level][::-1], probabilities)


def test_an_ensemble_is_the_mean_of_its_members_with_their_spread(site):
    one = [
        ask(site, features(site), method="hmil", fold=fold, slides=["CCC_SIM_3", "CCC_SIM_9"])
        for fold in range(3)
    ]
    every = ask(site, features(site), method="hmil", slides=["CCC_SIM_3", "CCC_SIM_9"])
    assert len(every.members) == 3
    leaf = np.stack([p.predictions.mean["leaf"] for p in one])
    np.testing.assert_allclose(every.predictions.mean["leaf"], leaf.mean(0), rtol=1e-12)
    row = every.table.iloc[0]
    k = leaf.mean(0)[0].argmax()
    assert row["class"] == every.predictions.taxonomy.leaves[k]
    assert row["probability"] == pytest.approx(leaf[:, 0, k].mean())
    assert row["spread"] == pytest.approx(np.std(leaf[:, 0, k], ddof=1))
    assert row["agreement"] == pytest.approx((leaf[:, 0].argmax(1) == k).mean())
    assert {"coarse", "coarse:negative", "leaf:SCC"} <= set(every.table)


def test_one_model_has_no_spread_and_upper_levels_without_a_head_are_sums():
    leaf = np.array([[[0.1, 0.2, 0.1, 0.3, 0.1, 0.1, 0.1]]])
    single = EnsemblePredictions(BRACS, ("k",), ("s",), {"leaf": leaf})
    assert np.isnan(single.spread[0])
    assert np.isnan(single.agreement[0])
    columns = single.columns()
    assert columns["class"] == ["FEA"]
    assert columns["coarse"] == ["benign"]  # 0.4, 0.4 and 0.2: the first of equals
    assert columns["coarse_probability"] == pytest.approx([0.4])
    assert not any(name.startswith("coarse:") for name in columns)


def test_the_file_is_read_by_score(site, tmp_path):
    predicted = ask(site, features(site), method="hmil")
    path = predicted.save(tmp_path / "preds.csv")
    with path.open(newline="") as file:
        first = next(csv.DictReader(file))
    assert float(first["leaf:SCC"]) == predicted.predictions.mean["leaf"][0, -1]
    labels = (site / "cohort" / "manifest.csv").read_text().splitlines()
    of_slide = {line.split(",")[0]: line.split(",")[2] for line in labels[1:]}
    table = predicted.table.assign(label=[of_slide[s] for s in predicted.table["slide_id"]])
    table.to_csv(tmp_path / "labelled.csv", index=False)
    (tmp_path / "tree.toml").write_text(
        '[tree]\nnegative = ["NILM"]\nabnormal = ["ASC-US", "LSIL", "ASC-H", "HSIL", "SCC"]\n'
    )
    overall = score(tmp_path / "labelled.csv", tree=tmp_path / "tree.toml")["test"]["overall"]
    right = (table["class"] == table["label"]).mean()
    value = overall.set_index("score").loc["accuracy", "value"]
    assert value == pytest.approx(right)


def test_slides_that_models_were_trained_on_are_named(site):
    notes = " ".join(ask(site, features(site), method="abmil").notes)
    assert "in the training set of 3 of the 3 models" in notes
    assert not any("training set" in n for n in ask(site, features(site), method="abmil",
                                                    slides=of_site(site, 8)).notes)  # fmt: skip


def of_site(root, number):
    lines = (root / "cohort" / "manifest.csv").read_text().splitlines()[1:]
    return [line.split(",")[0] for line in lines if f"site_{number}," in line]


@pytest.fixture
def folder(site, tmp_path):
    """Three feature files of the cohort, in a folder of the same layout."""
    new = tmp_path / "new" / "20x_256px_0px_overlap" / "features_simulated8"
    new.mkdir(parents=True)
    source = next((site / "cohort").glob("*/features_simulated8"))
    for name in ("CCC_SIM_1", "CCC_SIM_2", "CCC_SIM_3"):
        shutil.copy(source / f"{name}.h5", new / f"{name}.h5")
    return tmp_path / "new"


def test_a_folder_of_only_new_slides(site, folder):
    whole = ask(site, features(site), method="abmil", slides=["CCC_SIM_1", "CCC_SIM_2"])
    assert list(ask(site, folder, method="abmil").table["slide_id"]) == [
        "CCC_SIM_1", "CCC_SIM_2", "CCC_SIM_3",
    ]  # fmt: skip
    few = ask(site, folder, method="abmil", slides=["CCC_SIM_1", "CCC_SIM_2"])
    np.testing.assert_allclose(
        few.predictions.mean["leaf"], whole.predictions.mean["leaf"], atol=1e-6
    )


def refused(root, kind, match, *args, **options):
    with pytest.raises(kind, match=match) as caught:
        ask(root, *args, **options)
    assert "\n" not in str(caught.value)


def change(folder, edit):
    for path in folder.rglob("*.h5"):
        with h5py.File(path, "r+") as file:
            edit(file)


def test_another_encoder_is_refused(site, folder):
    inner = next(folder.glob("*/features_*"))
    inner.rename(inner.with_name("features_uni_v1"))
    refused(site, FeatureError, "trained on features of simulated8, but .* of uni_v1", folder,
            method="abmil")  # fmt: skip


def test_another_dimension_is_refused(site, folder):
    def wider(file):
        attrs, rows = dict(file["features"].attrs), file["features"][:]
        del file["features"]
        file["features"] = np.hstack([rows, rows])
        file["features"].attrs.update(attrs)

    change(folder, wider)
    refused(site, FeatureError, "dimension 8 .* have dimension 16", folder, method="abmil")


def test_a_method_without_runs_is_named_with_its_nearest(site, folder):
    refused(site, UsageError, "unknown method 'abmill' of the runs under .*; did you mean 'abmil'",
            folder, method="abmill")  # fmt: skip


def test_another_scale_is_refused(site, folder):
    def coarser(file):
        file["coords"].attrs["target_magnification"] = 10

    change(folder, coarser)
    refused(site, FeatureError, r"0\.5 um per pixel, but CCC_SIM_1 .* 1 um per pixel", folder,
            method="abmil")  # fmt: skip


def test_a_run_that_does_not_record_its_scale_says_so(site, folder, tmp_path):
    runs = shutil.copytree(site / "runs", tmp_path / "older")
    for path in runs.glob("ab/abmil/*/result.json"):
        content = json.loads(path.read_text())
        content.pop("patches")
        path.write_text(json.dumps(content))
    notes = predict(folder, method="abmil", runs=runs, device="cpu").notes
    assert any("the scale of patches is not checked: the training" in note for note in notes)


def test_ids_without_features_are_refused(site, folder):
    refused(site, UnknownNameError, "'CCC_SIM_7' of .* 1 of 2 ids are unknown", folder,
            method="abmil", slides=["CCC_SIM_1", "CCC_SIM_7"])  # fmt: skip


def test_files_that_are_not_bags_are_refused(site, folder):
    next(folder.rglob("CCC_SIM_2.h5")).write_bytes(b"half")
    refused(site, FeatureError, "CCC_SIM_2.h5: truncated", folder, method="abmil")


@pytest.mark.parametrize(
    ("options", "kind", "match"),
    [
        ({}, UsageError, "by --run KEY or by --method NAME"),
        ({"method": "abmil", "run": "00"}, UsageError, "one of the two"),
        ({"method": "abmli"}, UnknownNameError, "did you mean 'abmil'"),
        ({"method": "abmil", "fold": 7}, UnknownNameError, "unknown fold '7'"),
        ({"method": "abmil", "seed": [0, 3]}, UnknownNameError, "unknown seed '3'"),
        ({"method": "abmil", "trained_on": "ac"}, UnknownNameError, "unknown dataset 'ac'"),
        ({"method": "abmil", "dataset": "c.toml"}, UsageError, "both given"),
    ],
)
def test_an_open_choice_of_models_is_refused(site, options, kind, match):
    refused(site, kind, match, features(site), **options)


def test_runs_without_a_model_are_refused(site, folder, tmp_path):
    runs = shutil.copytree(site / "runs", tmp_path / "copy")
    run = next(runs.glob("ab/abmil/*"))
    (run / "checkpoint.pt").unlink()
    with pytest.raises(RunError, match=r"no checkpoint\.pt, so no model"):
        predict(folder, run=run.name, runs=runs)


def test_a_method_of_a_plugin_that_is_not_loaded_is_named(site, folder, monkeypatch):
    entries = dict(METHODS._entries)
    entries.pop("abmil")
    monkeypatch.setattr(METHODS, "_entries", entries)
    refused(site, RunError, "method 'abmil' of run .* is not registered; .* --plugin", folder,
            method="abmil")  # fmt: skip


def test_variants_are_not_mixed(site, tmp_path):
    runs = shutil.copytree(site / "runs", tmp_path / "runs")
    shutil.copytree(site / "cohort", tmp_path / "cohort")
    train(tmp_path, write_site(tmp_path, "ab", range(1, 8)), "abmil", settings={"lr": 1e-3})
    with pytest.raises(UsageError, match=r"of 2 variants .*lr=0\.001.* choose runs with --run KEY"):
        predict(features(site), method="abmil", runs=runs)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.txt", "a.svs\n\nfolder/b\na.svs\n"),
        ("list.txt", "slide_id\na.svs\nb\n"),
        ("list.csv", "slide_id,label\na.svs,x\nb,y\n"),
        ("list.csv", "a.svs\nb\n"),
        ("list.tsv", "image_id\tlabel\na.svs\tx\nb\ty\n"),
    ],
)
def test_a_list_of_slides_is_a_table_or_a_text(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    assert read_slide_list(path) == ["a.svs", "b"]


@pytest.mark.parametrize(
    ("content", "match"),
    [(b"", "lists no slide|has no rows|not a readable"), (b"\xff\xfe\x00", "not a text file")],
)
def test_a_list_without_slides_is_refused(tmp_path, content, match):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_slide_list(path)
    with pytest.raises(DataError, match="no such file"):
        read_slide_list(tmp_path / "absent.txt")


@given(content=st.binary(max_size=200), name=st.sampled_from(["l.txt", "l.csv", "l.tsv", "l.xlsx"]))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_a_list_of_names_or_a_data_error(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with suppress(DataError):
        ids = read_slide_list(path)
        assert ids
        assert all(slide and "/" not in slide for slide in ids)


def test_a_model_with_trained_blocks_needs_slides(site, folder, tmp_path):
    runs = shutil.copytree(site / "runs", tmp_path / "blocks")
    run = next(runs.glob("ab/abmil/*"))
    content = json.loads((run / "spec.json").read_text())
    content["online"] = {"blocks": 1, "tiles": 2}
    (run / "spec.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="trained blocks of its encoder, so it reads slides"):
        predict(folder, run=run.name, runs=runs, device="cpu")


def test_a_method_that_requires_coordinates_is_refused_without_them(site, folder, tmp_path):
    shutil.copytree(site / "cohort", tmp_path / "cohort")
    data = write_site(tmp_path, "ab", range(1, 8))
    train(tmp_path, data, "patch-gcn", fold=0)

    def without(file):
        del file["coords"]

    change(folder, without)
    refused(tmp_path, FeatureError, "'patch-gcn' .* requires coordinates", folder,
            method="patch-gcn")  # fmt: skip


def test_one_file_with_a_group_per_slide(site, folder, tmp_path):
    with h5py.File(tmp_path / "bags.h5", "w") as grouped:
        for path in folder.rglob("*.h5"):
            with h5py.File(path) as file:
                grouped[f"{path.stem}/features"] = file["features"][:]
                grouped[f"{path.stem}/coords"] = file["coords"][:]
    whole = ask(site, folder, method="abmil", slides=["CCC_SIM_1", "CCC_SIM_2", "CCC_SIM_3"])
    grouped = ask(site, tmp_path / "bags.h5", method="abmil")
    assert list(grouped.table["slide_id"]) == list(whole.table["slide_id"])
    np.testing.assert_array_equal(grouped.predictions.mean["leaf"], whole.predictions.mean["leaf"])
    unnamed = f"encoders are not compared: {tmp_path / 'bags.h5'} does not name one"
    assert any(note.startswith(unnamed) for note in grouped.notes)
