"""An export is whole or absent; other forms are kept only when they predict the same."""

import json

import numpy as np
import pytest
import torch
from exported_models import DIM, bag, exported, trained_run
from prediction_cases import BRACS
from sklearn.metrics import balanced_accuracy_score

from mil_bench.base.errors import RunError, UsageError
from mil_bench.exchange.models import portable
from mil_bench.exchange.models.export import export_run
from mil_bench.exchange.models.load_model import load_model
from mil_bench.exchange.models.model_card import CardText, model_card
from mil_bench.exchange.models.portable import OneBag, check_equal, write_portable
from mil_bench.runs.stored_predictions import stored_predictions


def test_an_export_is_not_overwritten_unasked_and_other_folders_never(tmp_path):
    directory, _ = trained_run(tmp_path / "runs")
    export_run(directory, tmp_path / "model")
    with pytest.raises(UsageError, match="holds an export already"):
        export_run(directory, tmp_path / "model")
    export_run(directory, tmp_path / "model", overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(UsageError, match="is not an export"):
        export_run(directory, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "model", "mine"}


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    directory, _ = trained_run(tmp_path / "runs")
    directory.checkpoint.unlink()
    with pytest.raises(RunError, match="no model"):
        export_run(directory, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_the_card_has_the_scores_of_the_test_slides(tmp_path):
    directory, _ = trained_run(tmp_path / "runs")
    folder = export_run(directory, tmp_path / "model", card=CardText("CC-BY-4.0", "Rank 1.")).folder
    card = (folder / "README.md").read_text()
    test = stored_predictions(directory, BRACS)["test"]
    score = balanced_accuracy_score(test.labels, test.heads["leaf"].argmax(1))
    assert f"| Bal. acc | leaf | {100 * score:.1f} |" in card
    assert "CC-BY-4.0" in card
    assert "Rank 1." in card
    assert str(tmp_path) not in card + (folder / "model.json").read_text()


def test_the_card_of_a_run_without_test_slides_says_so(tmp_path):
    directory, _ = trained_run(tmp_path / "runs")
    facts = load_model(export_run(directory, tmp_path / "model").folder).facts
    assert "no test slides" in model_card(facts, directory, None, CardText())


@pytest.mark.parametrize("method", ["abmil", "hmil", "dsmil", "probe"])
@pytest.mark.parametrize("standardize", [False, True])
def test_torchscript_predicts_the_same_for_bags_of_every_size(tmp_path, method, standardize):
    folder, _ = exported(tmp_path, method, standardize=standardize)
    loaded = load_model(folder)
    module = torch.jit.load(write_portable(loaded, "torchscript", folder))
    levels = OneBag(loaded).levels
    for size in (1, 4, 333):
        outputs = module(torch.from_numpy(bag(size)))
        expected = loaded.predict(bag(size))
        for level, probabilities in zip(levels, outputs, strict=True):
            np.testing.assert_allclose(probabilities[0].numpy(), expected[level], atol=1e-5)


@pytest.mark.parametrize("method", ["transmil", "patch-gcn", "dtfd", "s4mil", "rrt"])
def test_a_method_whose_steps_depend_on_the_bag_is_refused(tmp_path, method):
    directory, _ = trained_run(tmp_path / "runs", method)
    written = export_run(directory, tmp_path / "model", forms=["torchscript"])
    [sentence] = written.refused
    assert f"method {method} cannot be exported as " in sentence
    assert set(written.files) == {"README.md", "model.json", "model.safetensors"}


def test_a_form_that_differs_for_one_size_is_not_kept(tmp_path):
    loaded = load_model(exported(tmp_path)[0])
    one = OneBag(loaded)

    def wrong_for_long_bags(features):
        return [p + (len(features) > 300) * 1e-3 for p in one(features)]

    check_equal(loaded, one, one, "torchscript")
    with pytest.raises(RunError, match=r"a bag of 1000 differ by 0\.001"):
        check_equal(loaded, one, wrong_for_long_bags, "torchscript")


def test_onnx_predicts_the_same_for_bags_of_every_size(tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    folder, _ = exported(tmp_path)
    loaded = load_model(folder)
    session = runtime.InferenceSession(write_portable(loaded, "onnx", folder))
    for size in (1, 333):
        [probabilities] = session.run(None, {"features": bag(size)})
        np.testing.assert_allclose(probabilities[0], loaded.predict(bag(size))["leaf"], atol=1e-5)


def test_onnx_without_its_packages_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    folder, _ = exported(tmp_path)
    with pytest.raises(UsageError, match=r"mil-bench\[onnx\]"):
        write_portable(load_model(folder), "onnx", folder)
    assert not (folder / portable.FILES["onnx"]).exists()


def test_facts_are_json_that_others_can_read(tmp_path):
    folder, _ = exported(tmp_path)
    facts = json.loads((folder / "model.json").read_text())
    assert facts["format"] == 1
    assert facts["dim"] == DIM
    assert facts["classes"]["leaf"] == list(BRACS.leaves)
