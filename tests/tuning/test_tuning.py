import io
import json
from dataclasses import replace

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState
from rich.console import Console
from tuning_requests import DATA, machine, run, studies, tuning

from mil_bench.bags.device import DeviceBags
from mil_bench.bags.loader import EvaluationLoader
from mil_bench.base.errors import ConfigError, DataError, RunError, UnknownNameError, UsageError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.cli.main import main
from mil_bench.evaluation.predictions_csv import read_predictions
from mil_bench.evaluation.scores import leaf_scores
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.studies.stored_plans import stored_grids
from mil_bench.runs.tuning_record import read_tunings
from mil_bench.tuning.hidden_test import trains_on_test, without_test
from mil_bench.tuning.search import SearchRules, plan_searches, scopes
from mil_bench.tuning.storage import StorageRequest
from mil_bench.tuning.study import make_sampler
from mil_bench.tuning.trial_queue import last_attempts
from mil_bench.tuning.trial_runner import TrialRunner, Workload, work
from mil_bench.tuning.tune import best_trial, run_tuning

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """Two methods searched on one fold, and their runs folder."""
    runs = tmp_path_factory.mktemp("tuned")
    request = tuning(5, methods=("plain", "tiny"))
    found, said = run(request, runs)
    return runs, found, said


def test_trial_0_is_the_default_configuration_exactly(tuned):
    runs, found, _ = tuned
    for search, study in found:
        first = study.trials[0]
        assert first.params == {"width": 5}
        (default,) = plan(
            GridRequest(DATA, [search.method], [0], settings={"trainer.epochs": "1"}), machine(runs)
        )
        assert first.user_attrs["runs"] == [default.spec.key]


def test_every_method_gets_exactly_the_trials_asked_for(tuned):
    _, found, said = tuned
    assert [[t.state for t in study.trials] for _, study in found] == [
        [TrialState.COMPLETE] * 5
    ] * 2
    assert "[5/5] complete" in said
    assert {t.params["width"] for _, study in found for t in study.trials} <= {3, 5, 8}


def test_the_objective_is_the_validation_score_of_the_stored_predictions(tuned):
    runs, found, _ = tuned
    for search, study in found:
        for trial in study.trials:
            (key,) = trial.user_attrs["runs"]
            directory = RunDirectory(runs / ".search" / "toy" / search.method / key)
            tree = Taxonomy.from_dict(directory.read_spec().tree)
            sets = read_predictions(directory.predictions, tree)
            assert list(sets) == ["val"]
            assert trial.value == leaf_scores(sets["val"])["balanced_accuracy"]
            assert not directory.checkpoint.exists()


def test_the_same_command_again_makes_nothing_anew(tuned):
    runs, found, _ = tuned
    before = [study.trials for _, study in found]
    again, said = run(tuning(5, methods=("plain", "tiny")), runs)
    assert [study.trials for _, study in again] == before
    assert "0 done, " in said


def test_boards_show_the_tuned_row_beside_the_default_with_its_cost(tuned):
    runs, found, _ = tuned
    (board,) = build_boards(collect(runs), read_tunings(runs))
    labels = {row.label for row in board.rows}
    assert labels == {f"{m} ({role})" for m in ("plain", "tiny") for role in ("default", "tuned")}
    for search, study in found:
        rows = {row.role: row for row in board.rows if row.method == search.method}
        best = best_trial(search, study)
        assert best.value == max(t.value for t in study.trials)
        (chosen,) = rows["tuned"].done.values()
        assert chosen.spec.method_config["width"] == best.params["width"]
        assert rows["tuned"].tuning.trials == 5
        assert rows["tuned"].tuning.failed == 0
        assert rows["tuned"].tuning.hours > 0
        assert rows["default"].tuning is None
    assert not any("budgets differ" in note.text for note in board.notes)


def test_status_and_retry_know_the_runs_that_follow_a_search(tuned):
    runs, _, _ = tuned
    ((grid,), _) = stored_grids(runs)
    assert grid.title == "plain, tiny on toy: default and tuned"
    kept = {key for record in read_tunings(runs) for key in (*record.default, *record.tuned)}
    assert {spec.key for spec in grid.specs} == kept
    assert {task.data for task in grid.tasks()} == {DATA}


def test_a_run_of_a_search_is_never_on_a_board(tuned):
    runs, _, _ = tuned
    keys = {record.key for record in collect(runs)}
    kept = {key for record in read_tunings(runs) for key in (*record.default, *record.tuned)}
    assert keys == kept


def test_unequal_budgets_are_said_on_the_board(tuned, tmp_path):
    runs, _, _ = tuned
    records = read_tunings(runs)
    changed = [records[0].model_copy(update={"trials": 9}), records[1]]
    (board,) = build_boards(collect(runs), changed)
    (note,) = [note for note in board.notes if "budgets differ" in note.text]
    assert "plain (tuned) 9" in note.text
    assert "tiny (tuned) 5" in note.text
    (board,) = build_boards(collect(runs), records[:1])
    assert "only some methods were tuned; never tuned: tiny" in map(str, board.notes)


def test_pictures_of_the_search_are_there(tuned):
    runs, found, _ = tuned
    for search, _ in found:
        folder = runs / ".search" / "pictures" / search.name
        names = {path.name for path in folder.iterdir()}
        assert {"history.png", "slice.png", "parallel.png"} <= names


def test_the_page_of_a_search_needs_no_network(tuned):
    pytest.importorskip("plotly", reason="needs plotly (extra `tune`)")
    runs, found, _ = tuned
    for search, _ in found:
        page = (runs / ".search" / "pictures" / search.name / "search.html").read_text()
        assert page.count("Plotly.newPlot(") >= 3
        assert "<script src=" not in page
        assert "<link" not in page.partition("<body>")[0]


# The test split.


def poisoned(folds, sets):
    """A loader of the toy data whose slides of ``sets`` have no number and a wrong label."""

    def prepare(data):
        dataset, split = data.prepare()
        marked = {s for k in folds for name, ids in split[k].sets() if name in sets for s in ids}
        features = dataset.store.features.copy()
        for slide in marked:
            start, n = dataset.store.rows[slide]
            features[start : start + n] = np.nan
        table = dataset.manifest.table.copy()
        table.loc[table["slide_id"].isin(marked), "label"] = "a"
        manifest = replace(dataset.manifest, table=table)
        store = replace(dataset.store, features=features)
        return replace(dataset, store=store, manifest=manifest), split

    return prepare


def values_with(runs, prepare):
    request = tuning(3)
    job = Workload(
        tuple(plan_searches(request, machine(runs))),
        request.trials,
        StorageRequest.beside(runs),
        machine(runs),
        (CPU,),
    )
    work(job, job.devices[0], lambda told: None, prepare)
    ((_, study),) = studies(request, runs)
    return [(t.state, t.value, t.params) for t in study.trials]


def test_test_slides_change_nothing_in_a_search_whatever_they_hold(tmp_path):
    clean = values_with(tmp_path / "clean", poisoned([0], ()))
    assert values_with(tmp_path / "test", poisoned([0], ("test",))) == clean
    assert {state for state, _, _ in clean} == {TrialState.COMPLETE}
    touched = values_with(tmp_path / "val", poisoned([0], ("val",)))  # the poison does work
    assert {state for state, _, _ in touched} == {TrialState.FAIL}


def test_a_test_slide_cannot_be_read_in_a_search():
    dataset, split = DATA.prepare()
    view, reduced = without_test(dataset, split, [0])
    assert reduced[0].test == ()
    assert reduced[1].train == ()
    assert set(view.manifest.slide_ids) == set(split[0].train) | set(split[0].val)
    loader = EvaluationLoader(DeviceBags(view.store, CPU), split[0].test)
    with pytest.raises(KeyError):
        next(iter(loader))
    with pytest.raises(KeyError):
        view.store.bag(split[0].test[0])


def test_folds_that_train_on_each_others_test_slides_are_searched_one_by_one():
    _, split = DATA.prepare()
    assert trains_on_test(split, [0, 1])
    assert scopes(split, [0, 1, 2], shared=False) == ([(0,), (1,), (2,)], "fold")
    assert scopes(split, [0, 1, 2], shared=True) == ([(0, 1, 2)], "shared")
    fixed = replace(
        split, folds=(split[0], replace(split[0], train=split[0].val, val=split[0].train))
    )
    assert not trains_on_test(fixed, [0, 1])
    assert scopes(fixed, [0, 1], shared=False) == ([(0, 1)], "folds")


def test_each_outer_fold_is_refitted_with_its_own_best(tmp_path):
    found, said = run(tuning(3, folds=(0, 1)), tmp_path)
    assert "searched separately" in said
    assert [search.folds for search, _ in found] == [(0,), (1,)]
    (board,) = build_boards(collect(tmp_path), read_tunings(tmp_path))
    (row,) = [row for row in board.rows if row.role == "tuned"]
    assert row.complete
    for (search, study), fold in zip(found, (0, 1), strict=True):
        width = row.runs[0, fold].spec.method_config["width"]
        assert width == best_trial(search, study).params["width"]
    assert row.tuning.budgets == (3, 3)


def test_a_shared_search_is_marked_on_the_board(tmp_path):
    ((search, study),), _ = run(tuning(2, folds=(0, 1), shared=True), tmp_path)
    assert search.folds == (0, 1)
    assert list(study.trials[0].intermediate_values) == [0, 1]
    steps = study.trials[0].intermediate_values.values()
    assert study.trials[0].value == pytest.approx(sum(steps) / 2)
    (board,) = build_boards(collect(tmp_path), read_tunings(tmp_path))
    assert "plain (tuned, shared)" in {row.label for row in board.rows}
    notes = " ".join(note.text for note in board.notes)
    assert "these rows are optimistic: plain (tuned, shared)" in notes


# SearchRules of a search.


def test_more_trials_go_on_with_the_same_study_and_draw_what_it_would_have_drawn(tmp_path):
    ((_, short),), _ = run(tuning(2, refit=False), tmp_path / "a")
    assert len(short.trials) == 2
    ((_, longer),), _ = run(tuning(5, refit=False), tmp_path / "a")
    ((_, whole),), _ = run(tuning(5, refit=False), tmp_path / "b")
    assert [t.params for t in longer.trials] == [t.params for t in whole.trials]


def test_ctrl_c_gives_the_trial_back_as_it_was(tmp_path, monkeypatch):
    made, real = [], TrialRunner.measure

    def make(bench, spec):
        made.append(spec)
        if len(made) == 2:
            raise KeyboardInterrupt
        return real(bench, spec)

    monkeypatch.setattr(TrialRunner, "measure", make)
    with pytest.raises(KeyboardInterrupt):
        run(tuning(3, refit=False), tmp_path)
    ((_, study),), _ = run(tuning(3, refit=False), tmp_path)
    assert [t.state for t in last_attempts(study)] == [TrialState.COMPLETE] * 3
    interrupted = study.trials[1]
    (again,) = [t for t in last_attempts(study) if t.system_attrs.get("failed_trial") == 1]
    assert again.params == interrupted.params
    assert "retry_history" not in again.system_attrs


def test_failed_trials_are_tried_again_when_asked(tmp_path, monkeypatch):
    def fail(bench, spec):
        raise RunError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(TrialRunner, "measure", fail)
        with pytest.raises(RunError, match="no search found any settings"):
            run(tuning(2, refit=False), tmp_path)
    with pytest.raises(RunError, match="no search found any settings"):
        run(tuning(2, refit=False), tmp_path)
    ((_, study),), _ = run(tuning(2, refit=False), tmp_path, existing="retry-failed")
    assert [t.state for t in last_attempts(study)] == [TrialState.COMPLETE] * 2
    assert last_attempts(study)[0].user_attrs["default"] is True


def test_another_search_space_is_another_study_and_is_said(tmp_path):
    run(tuning(2, refit=False), tmp_path)
    ((_, study),), said = run(tuning(1, search=("width=3,4",), refit=False), tmp_path)
    assert len(study.trials) == 1
    assert "has been searched before (2 trials" in said
    assert "the range of width was 3, 5, 8 and is 3, 4" in said


def test_a_grid_visits_every_point_once_after_the_default(tmp_path):
    ((_, study),), _ = run(tuning(3, rules={"sampler": "grid"}, refit=False), tmp_path)
    assert study.trials[0].params == {"width": 5}
    assert sorted(t.params["width"] for t in study.trials) == [3, 5, 8]


def test_settings_beyond_a_limit_are_not_chosen(tmp_path):
    ((search, free),), _ = run(tuning(6, refit=False), tmp_path / "free")
    sizes = {t.params["width"]: t for t in free.trials}
    assert {3, 8} <= set(sizes)
    key = sizes[3].user_attrs["runs"][0]
    small = RunDirectory(tmp_path / "free/.search/toy/plain" / key).read_result()["parameters"]
    rules = {"max_parameters": small}
    ((search, study),), _ = run(tuning(6, rules=rules, refit=False), tmp_path / "limited")
    assert best_trial(search, study).params == {"width": 3}
    assert {t.params["width"] for t in study.trials if t.constraints["parameters"] > 0} <= {5, 8}


def test_a_failing_trial_is_told_and_the_others_go_on(tmp_path):
    request = tuning(3, methods=("broken", "plain"), refit=False)
    request = replace(request, grid=replace(request.grid, settings={"epochs": "2"}))
    console = Console(file=io.StringIO(), width=300)
    run_tuning(request, machine(tmp_path), console)
    (_, bad), (_, good) = studies(request, tmp_path)
    assert [t.state for t in last_attempts(bad)] == [TrialState.FAIL] * 3
    assert [t.state for t in last_attempts(good)] == [TrialState.COMPLETE] * 3
    said = console.file.getvalue()
    assert "the search of broken on toy, fold 0 found no settings" in said
    assert "no loss today" in said


@pytest.mark.parametrize("pruner", ["median", "wilcoxon"])
def test_a_pruner_ends_trials_between_their_runs_and_each_counts(tmp_path, pruner):
    request = tuning(12, rules={"pruner": pruner}, search_seeds=(0, 1, 2), refit=False)
    ((_, study),), _ = run(request, tmp_path)
    assert len(study.trials) == 12
    pruned = [t for t in study.trials if t.state == TrialState.PRUNED]
    assert all(0 < len(t.intermediate_values) < 3 for t in pruned)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"search": ("widht=1,2",)}, UnknownNameError, "did you mean 'width'"),
        ({"search": (), "fix": ("width",)}, ConfigError, "nothing is left to search"),
        ({"rules": {"objective": "balanced_acuracy"}}, UnknownNameError, "balanced_accuracy"),
        ({"rules": {"pruner": "median"}}, UsageError, "a trial here is one run"),
        ({"rules": {"sampler": "grid"}, "trials": 9}, UsageError, "has 3 points"),
        (
            {"rules": {"sampler": "grid"}, "search": ("width=1:9",)},
            ConfigError,
            "requires values for width",
        ),
    ],
)
def test_a_wrong_request_is_refused_before_any_trial(tmp_path, changes, error, said):
    request = tuning(changes.pop("trials", 2), **changes)
    with pytest.raises(error, match=said):
        run_tuning(request, machine(tmp_path), Console(file=io.StringIO()))
    assert not list(tmp_path.glob(".search/toy"))


@pytest.mark.filterwarnings("error")  # a search of one trial has pictures too
def test_every_level_of_the_tree_may_be_the_objective(tmp_path):
    request = tuning(1, rules={"objective": "coarse_summed_balanced_accuracy"}, refit=False)
    ((search, study),), _ = run(request, tmp_path)
    assert 0 <= study.trials[0].value <= 1
    assert search.direction == "maximize"
    assert replace(search, rules=SearchRules(objective="log_loss")).direction == "minimize"


def test_the_command_says_what_is_wrong_in_one_sentence(capsys, tmp_path):
    words = ["tune", "--method", "mean", "--dataset", "digit-bags", "--runs", str(tmp_path)]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--search", "lr=1e-3:1e-5"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --search lr=1e-3:1e-5 is an empty range")
    assert said.count("\n") == 1


def test_a_damaged_record_is_one_sentence(tmp_path):
    (tmp_path / "toy" / "plain").mkdir(parents=True)
    (tmp_path / "toy" / "plain" / "tuning-1.json").write_text(json.dumps({"dataset": "toy"}))
    with pytest.raises(DataError, match="is not a record of a search"):
        read_tunings(tmp_path)


def test_the_default_sampler_follows_the_protocol():
    assert isinstance(make_sampler("auto", 100, "s", 1), optuna.samplers.GPSampler)
    assert isinstance(make_sampler("auto", 101, "s", 1), optuna.samplers.TPESampler)
