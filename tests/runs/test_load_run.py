"""A restored run is the model that was tested."""

import io
import json

import numpy as np
import pytest
import torch
import toy_grid
from rich.console import Console
from run_requests import request, run_grid

from mil_bench.base.errors import RunError, UnknownNameError
from mil_bench.datasets.load import load_dataset
from mil_bench.evaluation.predictions_csv import read_predictions
from mil_bench.runs.directory import run_directories
from mil_bench.runs.grid import run_tasks
from mil_bench.runs.load_run import load_run
from mil_bench.runs.plan import plan

CPU = torch.device("cpu")


@pytest.fixture
def directory(tmp_path):
    run_grid(*request(tmp_path, settings={"epochs": "2"}), Console(file=io.StringIO()))
    return run_directories(tmp_path)[0]


@pytest.mark.parametrize(
    ("dataset", "method"), [("toy", "plain"), ("digit-bags", "hmil"), ("digit-bags", "mean")]
)
def test_a_restored_model_says_again_what_the_run_has_stored(tmp_path, dataset, method):
    settings = {"epochs": "2"}
    ask = request(tmp_path, dataset=dataset, methods=[method], settings=settings, precision="32")
    run_grid(*ask, Console(file=io.StringIO()))
    directory = run_directories(tmp_path)[0]
    restored = load_run(directory, load_dataset(dataset), CPU)
    stored = read_predictions(directory.predictions, restored.taxonomy)["test"]
    for i, slide in enumerate(stored.slide_ids[:5]):
        output = restored.method(restored.batch(slide))
        for level, probabilities in stored.heads.items():
            again = output.logits[level].double().softmax(1)[0].detach()
            np.testing.assert_allclose(again, probabilities[i], atol=1e-6)


def test_standardised_features_are_those_of_the_training(tmp_path):
    data = toy_grid.toy_dataset(standardize=True)
    grid, machine = request(tmp_path, settings={"epochs": "1"})
    split = grid.data.prepare()[1]

    def prepare(_):
        return data, split

    run_tasks(plan(grid, machine, prepare), machine, Console(file=io.StringIO()), prepare)
    directory = run_directories(tmp_path)[0]
    train = np.concatenate([data.store.bag(s) for s in split[0].train])
    given = load_run(directory, data, CPU).batch("s00").features
    expected = (data.store.bag("s00") - train.mean(0)) / train.std(0)
    np.testing.assert_allclose(given, expected, atol=1e-5)


def test_other_data_than_the_runs_are_refused(directory):
    with pytest.raises(RunError, match="used other labels of toy"):
        load_run(directory, toy_grid.toy_dataset(slides=40), CPU)


def test_a_run_without_a_result_is_refused(directory):
    directory.result.unlink()
    with pytest.raises(RunError, match="is interrupted; expected a complete run"):
        load_run(directory, toy_grid.toy_dataset(), CPU)


def test_a_method_of_another_version_is_refused(directory):
    content = json.loads(directory.spec_path.read_text())
    directory.spec_path.write_text(json.dumps(content | {"method_version": "0"}))
    with pytest.raises(RunError, match="used version 0 of plain, but version 1 is installed"):
        load_run(directory, toy_grid.toy_dataset(), CPU)


def test_a_slide_that_is_not_there_names_the_nearest(directory):
    with pytest.raises(UnknownNameError, match="unknown slide 's5' of toy; did you mean"):
        load_run(directory, toy_grid.toy_dataset(), CPU).batch("s5")
