"""Tables of a board: their numbers, intervals, marks and standings against other libraries."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from paired_runs import paired_predictions, write_grid
from prediction_cases import BRACS, FLAT, decided, random_predictions
from run_folders import fail, finish, make_spec
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.board import RANKED
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.report import report_of
from mil_bench.boards.roles import Tuning
from mil_bench.boards.tables.columns import COLUMNS
from mil_bench.boards.tables.cost import frontier
from mil_bench.boards.tables.table import Number
from mil_bench.evaluation.metrics import METRICS, PRIMARY, Score


def report(runs):
    (board,) = build_boards(collect(runs))
    return report_of(board)


def row(table, method, **keys):
    (found,) = [
        r for r in table.rows if r.method == method and all(r[k] == v for k, v in keys.items())
    ]
    return found


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Four methods of rising skill; the best has a coarse head."""
    runs = tmp_path_factory.mktemp("runs")
    write_grid(runs, {"max": 0, "mean": 1.4, "abmil": 1.5}, folds=3)
    for fold in range(3):
        for seed in range(2):
            p = paired_predictions(2, fold, 90 + seed, heads=("coarse",))
            finish(runs, make_spec("hmil", seed=seed, fold=fold), p)
    return report(runs)


def test_scores_are_those_of_scikit_learn_averaged_over_folds_then_seeds(grid):
    of_leaves = row(grid.table("overall"), "hmil")
    (hmil,) = [r for r in grid.board.rows if r.label == "hmil"]
    found = {
        cell: (
            balanced_accuracy_score(p.labels, p.heads[LEAF].argmax(1)),
            roc_auc_score(p.labels, p.heads[LEAF], multi_class="ovr"),
        )
        for cell, p in hmil.predictions.items()
    }
    for i, name in enumerate((PRIMARY, "macro_auc")):
        cells = np.array([[found[seed, fold][i] for fold in range(3)] for seed in range(2)])
        number = of_leaves[name]
        assert number.value == pytest.approx(cells.mean())
        assert number.sd_folds == pytest.approx(cells.mean(0).std(ddof=1))
        assert number.sd_seeds == pytest.approx(cells.mean(1).std(ddof=1))
        assert number.low < number.value < number.high


def test_best_and_tied_are_those_that_holm_cannot_separate(grid):
    leaves = [Score("auc", LEAF, "direct", name) for name in BRACS.leaves]
    seen = set()
    for score in [Score(PRIMARY), Score("brier"), Score("log_loss"), *leaves]:
        scores = grid.analysis.of_score(score)
        sign = METRICS[score.metric].better
        best = max(scores, key=lambda k: sign * scores[k].value)
        others = [k for k in scores if k != best]
        apart = multipletests([(scores[best] - scores[k]).p for k in others], method="holm")[0]
        expected = {best: "best"} | {
            k: "" if rejected else "tied" for k, rejected in zip(others, apart, strict=True)
        }
        table = grid.table("classwise" if score.name else "overall")
        rows = [r for r in table.rows if r["level"] in (None, LEAF)]
        rows = [r for r in rows if r["class"] in (None, score.name)]
        assert {r.method: r[score.metric].mark for r in rows} == expected
        seen |= set(expected.values())
    assert seen == {"best", "tied", ""}


def test_the_standing_is_the_difference_to_the_first_row(grid):
    table = grid.table("overall")
    assert [r.method for r in table.rows] == ["hmil", "abmil", "mean", "max"]
    first, last = table.rows[0], table.rows[-1]
    assert first["behind"] is None
    assert (first["tier"].value, first["rank"].value, first["first"].value) == (1, 1, 1)
    assert last["behind"].value == pytest.approx(first[PRIMARY].value - last[PRIMARY].value)
    assert last["rank"] == Number(4, 4, 4)
    assert last["tier"].value == 3
    assert row(table, "abmil")["tier"] == row(table, "mean")["tier"] == Number(2)
    draws = grid.analysis.difference("hmil", "max", RANKED).draws
    factor = 1.959964 + 0.841621
    assert last["detectable"].value == pytest.approx(factor * np.std(draws, ddof=1), rel=1e-5)


def test_every_row_says_what_it_rests_on(grid):
    for table in grid.tables:
        if "variant" in table.keys:
            for r in table.rows:
                assert (r["coverage"], r["folds"], r["seeds"]) == ("6 of 6", "0 1 2", "0 1")
                assert len(r["run_keys"].split()) == 6
                assert (r["split"], r["leaky"], r["status"]) == ("kfold-5", "no", "complete")


def test_every_column_stands_in_a_table_of_columns(grid):
    assert len(COLUMNS) == len({c.name for c in COLUMNS.values()})
    for name in ("overall", "hierarchical", "classwise", "cost"):
        table = grid.table(name)
        names = [c.name for c in table.columns]
        assert len(set(names)) == len(names)
        assert list(table.keys) == names[: len(table.keys)]
        assert {*table.shown, *table.keys} <= set(names)
        for r in table.rows:
            assert set(r.cells) <= set(names) | set(COLUMNS)


def test_heads_that_a_method_lacks_do_not_exist_and_are_not_zero(grid):
    table = grid.table("hierarchical")
    flat, tree = row(table, "abmil"), row(table, "hmil")
    for name in ("coarse_direct_accuracy", "coarse_gain_accuracy", "inconsistency"):
        assert flat[name] is None
    assert tree["coarse_direct_accuracy"].value > 0.5
    gain = tree["coarse_direct_accuracy"].value - tree["coarse_summed_accuracy"].value
    assert tree["coarse_gain_accuracy"].value == pytest.approx(gain)
    assert tree["inconsistency"].mark == ""  # nobody to compare with
    directs = [
        r for r in grid.table("classwise").rows if (r["level"], r["source"]) == ("coarse", "direct")
    ]
    assert {r.method for r in directs} == {"hmil"}


def test_classes_count_slides_and_patients_once(grid):
    (hmil,) = [r for r in grid.board.rows if r.label == "hmil"]
    seen = [p for (seed, _), p in hmil.predictions.items() if seed == 0]
    slides = sum(int((p.labels == 3).sum()) for p in seen)
    patients = {g for p in seen for g in p.groups[p.labels == 3]}
    found = row(grid.table("classwise"), "hmil", level=LEAF, **{"class": "FEA"})
    assert (found["support"].value, found["patients"].value) == (slides, len(patients))


def test_a_class_always_found_has_the_interval_of_wilson(tmp_path):
    labels = [0] * 12 + [1] * 20
    p = decided(FLAT, labels, [0] * 12 + [1] * 15 + [0] * 5)
    finish(tmp_path, make_spec(tree=FLAT), p)
    found = row(report(tmp_path).table("classwise"), "abmil", **{"class": "no"})["sensitivity"]
    assert found.value == 1
    expected = proportion_confint(12, 12, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.note == "Wilson interval"


@pytest.mark.parametrize(
    ("rate", "wrong", "slides"),
    [("sensitivity", "yes", 12), ("npv", "yes", 15), ("specificity", "no", 20), ("ppv", "no", 9)],
)
def test_a_rate_of_one_rests_on_the_slides_that_it_is_a_share_of(tmp_path, rate, wrong, slides):
    """12 slides of the class ``no``, 20 of ``yes``; five or three of a class are decided wrong."""
    labels = [0] * 12 + [1] * 20
    decisions = {"yes": [0] * 12 + [1] * 15 + [0] * 5, "no": [0] * 9 + [1] * 23}[wrong]
    finish(tmp_path, make_spec(tree=FLAT), decided(FLAT, labels, decisions))
    number = row(report(tmp_path).table("classwise"), "abmil", **{"class": "no"})[rate]
    expected = proportion_confint(slides, slides, method="wilson")
    assert (number.value, number.low, number.high) == pytest.approx((1, *expected))


def test_slides_of_one_patient_widen_the_interval_of_wilson(tmp_path):
    labels = [0] * 12 + [1] * 20
    p = decided(FLAT, labels, labels)
    p = replace(p, groups=np.array([f"p{i // 3}" for i in range(32)]))
    finish(tmp_path, make_spec(tree=FLAT), p)
    found = row(report(tmp_path).table("classwise"), "abmil", **{"class": "no"})["sensitivity"]
    assert found.low == pytest.approx(proportion_confint(4, 4, method="wilson")[0])


def test_undefined_cells_are_counted_and_said(tmp_path):
    finish(tmp_path, make_spec(fold=0), random_predictions(BRACS, labels=[0, 1, 2] * 5))
    finish(tmp_path, make_spec(fold=1), random_predictions(BRACS, labels=[0, 1, 6] * 5))
    table = report(tmp_path).table("classwise")
    never = row(table, "abmil", level=LEAF, **{"class": "FEA"})["auc"]
    once = row(table, "abmil", level=LEAF, **{"class": "IC"})["auc"]
    assert math.isnan(never.value)
    assert never.note == "undefined in 2 of 2 runs"
    assert not math.isnan(once.value)
    assert "undefined in 1 of 2 runs" in once.note


def test_a_row_with_lost_cells_is_shown_and_neither_ranked_nor_marked(tmp_path):
    write_grid(tmp_path, {"mean": 1, "max": 0}, seeds=1, folds=3)
    finish(tmp_path, make_spec("hmil", fold=0), paired_predictions(3, 0, 99))
    fail(tmp_path, make_spec("hmil", fold=1), "out of memory; use bf16")
    fail(tmp_path, make_spec("transmil", fold=0), "diverged")
    found = report(tmp_path)
    table = found.table("overall")
    assert [r.method for r in table.rows] == ["mean", "max", "hmil", "transmil"]
    assert [r["coverage"] for r in table.rows] == ["3 of 3", "3 of 3", "1 of 3", "0 of 3"]
    hmil = row(table, "hmil")
    assert hmil["rank"] is None
    assert (hmil[PRIMARY].mark, hmil[PRIMARY].note) == ("", "1 of 3 runs")
    assert hmil[PRIMARY].value > row(table, "mean")[PRIMARY].value
    assert row(table, "mean")[PRIMARY].mark == "best"
    assert row(table, "transmil")[PRIMARY] is None
    assert found.problems == (
        "hmil: incomplete (1 failed, 1 missing): out of memory; use bf16",
        "transmil: no result (1 failed, 2 missing): diverged",
    )


def test_one_patient_has_scores_and_no_interval(tmp_path):
    for skill, method in ((0, "mean"), (3, "hmil")):
        p = paired_predictions(skill, patients=1)
        finish(tmp_path, make_spec(method), p)
    table = report(tmp_path).table("overall")
    for r in table.rows:
        assert r["rank"] is None
        assert not math.isnan(r[PRIMARY].value)
        assert math.isnan(r[PRIMARY].low)
        assert r[PRIMARY].mark == ""


def test_costs_are_means_over_runs(tmp_path):
    for fold, seconds in enumerate((2.0, 4.0)):
        p = paired_predictions(1, fold)
        finish(
            tmp_path, make_spec(fold=fold), p, train_seconds=seconds, test_seconds=0.9, flops=5e6
        )
    (found,) = report(tmp_path).table("cost").rows
    assert found["train_seconds"].value == 3
    assert found["train_seconds"].sd_folds == pytest.approx(math.sqrt(2))
    assert found["slide_seconds"].value == pytest.approx(0.01)
    assert found["flops"].value == 5e6
    assert found["pareto"] == ""  # nobody to compare with


def test_searched_rows_tell_their_budget_and_others_say_none(tmp_path):
    for i, method in enumerate(("abmil", "mean")):
        finish(tmp_path, make_spec(method), paired_predictions(2 - i, number=i))
    (board,) = build_boards(collect(tmp_path))
    search = Tuning(
        "abmil", "tuned", PRIMARY, 2, (30, 20), 3, 0, 0.5, frozenset(), frozenset({"k"})
    )
    tuned, plain = board.rows
    found = report_of(replace(board, rows=(replace(tuned, role="tuned", tuning=search), plain)))
    first, second = found.table("overall").rows
    names = ("searches", "trials", "failed_trials", "tuning_hours")
    assert [first[name].value for name in names] == [2, 50, 3, 0.5]
    assert first["tuned_for"] == "validation balanced_accuracy"
    assert [second[name].value for name in names] == [0, 0, 0, 0]
    assert first["variant"] == "tuned"
    assert "trials" not in {c.name for c in report_of(board).table("overall").columns}


def test_costs_that_no_run_tells_have_no_column(grid):
    told = {c.name for c in grid.table("cost").columns}
    assert not told & {"flops", "gpu_memory_mb"}  # made on a CPU


def test_memory_is_a_cost_on_a_gpu_alone(tmp_path):
    made_on = {"mean": (100, "cpu"), "abmil": (300, "cuda"), "hmil": (200, "cuda")}
    for i, (method, (peak, device)) in enumerate(made_on.items()):
        p = paired_predictions(i, number=i)
        finish(tmp_path, make_spec(method), p, peak_memory_mb=peak, device_type=device)
    rows = {row.method: row for row in report(tmp_path).table("cost").rows}
    assert rows["mean"]["gpu_memory_mb"] is None
    assert rows["abmil"]["gpu_memory_mb"].value == 300
    assert "GPU memory" not in rows["mean"]["pareto"]
    assert "GPU memory" in rows["hmil"]["pareto"]


def test_the_pareto_column_names_the_costs_that_buy_quality(tmp_path):
    costs = {"mean": (0, 10, 1.0), "abmil": (2, 20, 2.0), "hmil": (2, 30, 0.5)}
    for i, (method, (skill, parameters, seconds)) in enumerate(costs.items()):
        p = paired_predictions(skill, number=i, n=200)
        finish(tmp_path, make_spec(method), p, parameters=parameters, train_seconds=seconds)
    table = report(tmp_path).table("cost")
    quality = {r.method: r[PRIMARY].value for r in table.rows}
    better, worse = sorted(("abmil", "hmil"), key=lambda m: -quality[m])
    assert quality["mean"] < quality[worse]
    told = {r.method: r["pareto"] for r in table.rows}
    assert "parameters" in told["mean"]
    assert "training" in told["hmil"]
    assert "training" not in told["mean"]
    assert ("training" in told["abmil"]) == (better == "abmil")


def test_controls_take_no_place_on_the_frontier(tmp_path):
    for i, tree in enumerate(("true", "shuffled")):
        spec = make_spec("hmil", config={"tree": tree})
        p = paired_predictions(i, number=i, n=200)
        finish(tmp_path, spec, p, parameters=100 - i)
    finish(tmp_path, make_spec("mean"), paired_predictions(0, number=2), parameters=200)
    table = report(tmp_path).table("cost")
    told = {r.method: r["pareto"] for r in table.rows}
    assert told["hmil (shuffled tree)"] == ""  # the best, and the cheapest
    assert "parameters" in told["hmil"]


def test_the_frontier_holds_what_nothing_beats():
    points = {"a": (1.0, 5.0), "b": (2.0, 3.0), "c": (2.0, 4.0), "d": (3.0, 1.0), "e": (1.0, 5.0)}
    assert frontier(points) == ["a", "b", "d", "e"]
