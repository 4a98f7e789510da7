"""A model that was exported predicts like the model of its run; nothing else is ever loaded."""

import json
import pickle
from contextlib import suppress
from hashlib import sha256

import numpy as np
import pytest
import safetensors.torch
import torch
from exported_models import DIM, bag, exported, trained_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mil_bench
from mil_bench import BagBatch
from mil_bench.base.errors import DataError, FeatureError, MilBenchError, UsageError
from mil_bench.exchange.models.export import export_run
from mil_bench.exchange.models.load_model import load_model
from mil_bench.methods import METHODS

SIZES = (1, 2, 9, 70)


def direct(model, x):
    """Probabilities by level of one bag, straight from the module."""
    with torch.no_grad():
        logits = model(BagBatch.pack([torch.as_tensor(x)])).logits
    return {level: y.double().softmax(1)[0].numpy() for level, y in logits.items()}


@pytest.mark.parametrize("method", ["abmil", "hmil", "mean", "transmil"])
def test_ragged_bags_have_the_probabilities_of_the_trained_module(tmp_path, method):
    folder, model = exported(tmp_path, method)
    loaded = mil_bench.load_model(folder)
    many = loaded.predict([bag(n) for n in SIZES])
    for i, n in enumerate(SIZES):
        expected, alone = direct(model, bag(n)), loaded.predict(torch.from_numpy(bag(n)))
        for level, probabilities in expected.items():
            np.testing.assert_allclose(many[level][i], probabilities, atol=1e-7)
            np.testing.assert_allclose(alone[level], probabilities, atol=1e-7)


def test_a_level_without_a_head_has_the_sums_of_its_leaves(tmp_path):
    folder, _ = exported(tmp_path)
    loaded = load_model(folder)
    probabilities = loaded.predict(bag(5))
    tree = loaded.taxonomy
    by_hand = dict.fromkeys(tree.classes["coarse"], 0.0)
    for path, p in zip(tree.paths, probabilities["leaf"], strict=True):
        by_hand[path[0]] += p
    np.testing.assert_allclose(probabilities["coarse"], list(by_hand.values()))


def test_features_are_standardised_as_in_the_run(tmp_path):
    folder, model = exported(tmp_path, standardize=True)
    x = bag(4)
    by_hand = (x - np.arange(DIM)) / (np.arange(DIM) + 0.5)
    expected = direct(model, by_hand.astype("float32"))["leaf"]
    np.testing.assert_allclose(load_model(folder).predict(x)["leaf"], expected, atol=1e-6)


def test_the_export_knows_its_tree_encoder_and_run(tmp_path):
    folder, _ = exported(tmp_path)
    loaded = load_model(folder)
    assert (loaded.encoder, loaded.dim) == ("pixels", DIM)
    assert loaded.taxonomy.leaves == loaded.facts.classes["leaf"]
    assert loaded.facts.run in {path.name for path in (tmp_path / "runs").glob("*/*/*")}
    assert "abmil" in repr(loaded)


def test_loading_leaves_the_random_numbers_of_the_process_alone(tmp_path):
    folder, _ = exported(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_model(folder)
    torch.testing.assert_close(torch.rand(2), expected)


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    folder, _ = exported(tmp_path)

    def refuse(*_args, **_kwargs):
        raise AssertionError("unpickled")

    for module, name in ((torch, "load"), (pickle, "load"), (pickle, "loads")):
        monkeypatch.setattr(module, name, refuse)
    load_model(folder).predict(bag(2))


@pytest.mark.parametrize(
    ("features", "coords", "error", "reason"),
    [
        ([], None, UsageError, "no bags"),
        (np.ones((3, 5)), None, FeatureError, "5 numbers per patch, but the model reads 6"),
        (np.ones((0, DIM)), None, FeatureError, "an empty bag"),
        (np.full((2, DIM), np.nan), None, FeatureError, "NaN or Inf in 2 of 2 patches"),
        ([np.ones((2, DIM))], [np.ones((2, 2))] * 2, FeatureError, "1 bags but 2 arrays"),
        (np.ones((2, DIM)), np.ones((3, 2)), FeatureError, "2 feature rows but 3 coordinates"),
    ],
)
def test_features_that_do_not_fit_are_one_sentence(tmp_path, features, coords, error, reason):
    loaded = load_model(exported(tmp_path)[0])
    with pytest.raises(error, match=reason):
        loaded.predict(features, coords)


def test_a_method_that_needs_coordinates_asks_for_them(tmp_path):
    folder, _ = exported(tmp_path, "patch-gcn")
    loaded = load_model(folder)
    with pytest.raises(FeatureError, match="requires coordinates"):
        loaded.predict(bag(5))
    xy = np.stack([np.arange(5), np.zeros(5)], 1)
    assert loaded.predict(bag(5), xy)["leaf"].sum() == pytest.approx(1)


def edited(folder, **facts):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def reweighted(folder, change):
    """Write other tensors with the digest that fits them, as a forger would."""
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    change(tensors)
    path.write_bytes(safetensors.torch.save(tensors))
    edited(folder, weights=sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"format": 2}, "written by a newer mil-bench"),
        ({"format": "1"}, "states the format '1'"),
        ({"method_version": "0"}, "holds version 0 of abmil, but version"),
        ({"method": "nobody"}, "method 'nobody' of .* is not registered"),
        ({"method_config": {"widht": 8}}, "unknown option 'widht'"),
        ({"method_config": {"width": -1}}, "width=-1 is not valid"),
        ({"method_config": {"width": 10**9}}, "layer '.*' has shape"),
        ({"dim": 0}, "dim=0 is not valid"),
        ({"dim": 7}, "layer 'project.0.weight' has shape"),
        ({"tree": {"leaves": []}}, "model.json"),
        ({"tree": {"tree": {"a": ["b", "c"]}}}, "`classes` differ"),
        ({"more": 1}, "unknown option 'more'"),
        ({"standardize": True}, "lacks standardization.mean"),
        ({"weights": "0" * 64}, "is not the file that was exported"),
    ],
)
def test_facts_that_do_not_fit_are_one_sentence(tmp_path, facts, reason):
    folder, _ = exported(tmp_path)
    edited(folder, **facts)
    with pytest.raises(MilBenchError, match=reason) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.pop("project.0.bias"), "lacks 'project.0.bias'"),
        (lambda t: t.update(extra=torch.ones(1)), "unknown tensor 'extra'"),
        (lambda t: t.update({"project.0.bias": torch.ones(3)}), "layer 'project.0.bias' has shape"),
        (lambda t: t["project.0.bias"].fill_(float("nan")), "holds NaN or Inf"),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence(tmp_path, change, reason):
    folder, _ = exported(tmp_path)
    reweighted(folder, change)
    with pytest.raises(DataError, match=reason):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"\x80\x04K\x01.", b"[1]", b"{" * 9999])
def test_a_missing_or_foreign_file_is_one_sentence(tmp_path, name, content):
    folder, _ = exported(tmp_path)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        load_model(folder)


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("fuzz"))[0]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutated_files_load_or_are_refused(intact, tmp_path_factory, data):
    """Whatever bytes change: an intact model, or one sentence; never another error."""
    folder = tmp_path_factory.mktemp("mutant")
    name = data.draw(st.sampled_from(["model.json", "model.safetensors"]))
    files = {path.name: bytearray(path.read_bytes()) for path in intact.iterdir()}
    content = files[name]
    for _ in range(data.draw(st.integers(1, 4))):
        # Headers and facts, where a byte means the most, are hit more often than numbers.
        place = data.draw(st.integers(0, min(len(content), 1500) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if kind == "set":
            content[place] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[place : place + data.draw(st.integers(1, 40))]
        else:
            content[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    for file, bytes_of in files.items():
        (folder / file).write_bytes(bytes(bytes_of))
    if name == "model.safetensors":
        edited(folder, weights=sha256(bytes(content)).hexdigest())
    with suppress(MilBenchError):  # any other error fails the test
        load_model(folder)


def test_another_version_of_the_method_is_refused_at_export_and_load(tmp_path, monkeypatch):
    directory, _ = trained_run(tmp_path / "runs")
    folder = export_run(directory, tmp_path / "model").folder
    monkeypatch.setattr(METHODS.get("abmil"), "version", "99")
    with pytest.raises(DataError, match="version 99 is installed"):
        load_model(folder)
