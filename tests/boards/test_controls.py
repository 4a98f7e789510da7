"""What a hierarchical method is held against: found among the runs, subtracted slide by slide."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from paired_runs import analysis_of, paired_predictions, write_grid
from prediction_cases import BRACS
from run_folders import finish, make_spec
from sklearn.metrics import balanced_accuracy_score

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.controls import controls_table, gains
from mil_bench.boards.notes import caveats_of
from mil_bench.boards.roles import HEADS
from mil_bench.boards.tables.scores import overall_table
from mil_bench.boards.verdict import verdict_of
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.predictions import Predictions
from mil_bench.nn.headed import HeadName

COARSE = Taxonomy.flat("bracs-coarse", BRACS.classes["coarse"][::-1])


def coarse_twin(p):
    """The slides of ``p`` under a flat tree of the coarse classes, always right."""
    names = [BRACS.classes["coarse"][k] for k in p.truth("coarse")]
    labels = np.array([COARSE.index(name) for name in names])
    return Predictions(COARSE, p.slide_ids, p.groups, labels, {"leaf": np.eye(3)[labels]})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """``hmil`` with a coarse head, its shuffled control, a flat method, a coarse-only twin."""
    runs = tmp_path_factory.mktemp("runs")
    write_grid(runs, {"abmil": 1.0}, seeds=1, folds=2)
    for fold in (0, 1):
        p = paired_predictions(1.5, fold, 77, heads=("coarse",))
        finish(runs, make_spec("hmil", fold=fold, config={"tree": "true"}), p)
        finish(
            runs,
            make_spec("hmil", fold=fold, config={"tree": "shuffled"}),
            paired_predictions(1.2, fold, 78, heads=("coarse",)),
        )
        twin = make_spec("mean", fold=fold, tree=COARSE, labels_digest="c0a45e")
        finish(runs, twin, coarse_twin(p))
    return runs


@pytest.fixture(scope="module")
def analysis(runs):
    boards = build_boards(collect(runs))
    return Analysis.of(next(b for b in boards if b.taxonomy.depth > 1), 300)


def test_every_kind_of_control_is_found_once(analysis):
    kinds = [(g.level, str(g.control), g.other) for g in of_accuracy(analysis)]
    assert kinds == [
        ("coarse", "own leaves, summed", "hmil"),
        ("coarse", "own leaves, least risk", "hmil"),
        ("coarse", "flat, summed", "abmil"),
        ("coarse", "flat, least risk", "abmil"),
        ("coarse", "shuffled tree, summed", "hmil (shuffled tree)"),
        ("coarse", "coarse only", "mean"),
        ("leaf", "shuffled tree", "hmil (shuffled tree)"),
    ]


def test_a_shuffled_control_is_shown_and_competes_with_nobody(analysis):
    overall = {row.method: row for row in overall_table(analysis).rows}
    control = overall["hmil (shuffled tree)"]
    assert control["balanced_accuracy"].value > overall["abmil"]["balanced_accuracy"].value
    assert control["tier"] is None
    assert {overall[name]["rank"].value for name in ("hmil", "abmil")} == {1, 2}
    assert "shuffled" not in verdict_of(analysis)


def of_accuracy(analysis):
    return [g for g in gains(analysis) if "accuracy" in metric(g)]


def metric(gain):
    return gain.pair.score.metric


def test_gains_are_differences_of_scikit_learns_scores(analysis):
    rows = {row.label: row for row in analysis.board.rows}

    def mean(label, decide):
        cells = rows[label].predictions.values()
        return np.mean([balanced_accuracy_score(p.truth("coarse"), decide(p)) for p in cells])

    own = mean("hmil", lambda p: p.heads["coarse"].argmax(1))
    summed = mean("abmil", lambda p: p.summed("coarse").argmax(1))
    found = {str(g.control): g.pair.patients.value for g in of_accuracy(analysis)}
    assert found["flat, summed"] == pytest.approx(own - summed, abs=1e-6)
    assert found["coarse only"] == pytest.approx(own - 1, abs=1e-6)


def test_the_own_gain_is_the_coarse_gain_of_the_hierarchical_table(analysis):
    drawn = analysis.scores["hmil"][Score("balanced_accuracy", "coarse", "gain")]
    (own,) = [
        g.pair.patients
        for g in gains(analysis)
        if str(g.control) == "own leaves, summed" and "accuracy" in metric(g)
    ]
    assert own.value == pytest.approx(drawn.value, abs=1e-6)
    assert np.allclose(own.draws, drawn.draws)


def test_a_twin_on_other_slides_or_folds_is_none(runs, tmp_path):
    write_grid(tmp_path, {"abmil": 1.0}, seeds=1, folds=1)
    p = paired_predictions(1.5, 0, 77)
    renamed = replace(p, slide_ids=np.char.add(p.slide_ids, "x"))
    twin = {"tree": COARSE, "labels_digest": "c0a45e"}
    finish(tmp_path, make_spec("max", **twin), coarse_twin(renamed))
    finish(tmp_path, make_spec("mean", **twin, split_digest="other"), coarse_twin(p))
    assert all(board.twins == () for board in build_boards(collect(tmp_path)))


def test_table_has_a_row_per_control_and_metric(analysis):
    table = controls_table(analysis)
    assert {r["score"] for r in table.rows} == {"balanced_accuracy", "macro_auc"}
    identity = [tuple(r[k] for k in table.keys) for r in table.rows]
    assert len(set(identity)) == len(identity)
    assert all(r["difference"].low <= r["difference"].value for r in table.rows)


def test_boards_without_upper_heads_have_no_controls(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"abmil": 1.0, "mean": 0.5}, seeds=1, folds=1))
    assert controls_table(a) is None
    assert not any(note.kind == "hierarchy" for note in caveats_of(a))


def test_caveats_name_the_strongest_control_and_the_missing_ones(analysis, tmp_path):
    text = "\n".join(map(str, caveats_of(analysis)))
    least = min(
        (g for g in gains(analysis) if g.level == "coarse" and "accuracy" in metric(g)),
        key=lambda g: g.pair.patients.value,
    )
    assert (str(least.control), least.other) == ("coarse only", "mean")
    words = {"worse": "worse than", "worse as trained": "worse than"}[least.pair.decision]
    assert f"hmil's coarse head is {words} mean trained on the coarse classes only" in text
    behind = f"by {-100 * least.pair.patients.value:.1f} points (95 % CI "
    assert behind in text
    assert "hmil's leaf decisions are not significantly different from those with a" in text
    assert "controls of" not in text
    for fold in (0, 1):
        p = paired_predictions(1.5, fold, 77, heads=("coarse",))
        finish(tmp_path, make_spec("hmil", fold=fold), p)
    alone = "\n".join(map(str, caveats_of(analysis_of(tmp_path))))
    assert "controls of hmil without runs: a shuffled tree" in alone
    assert "`mil-bench run --tree coarse`" in alone


def test_a_head_stands_beside_its_method_and_hmil_beside_the_head(tmp_path):
    write_grid(tmp_path, {"abmil": 1.0, "mean": 0.2}, seeds=1, folds=2)
    for fold in (0, 1):
        for skill, head in ((1.1, "multi"), (0.9, "soft-labels")):
            levels = ("coarse",) if head == "multi" else ()
            p = paired_predictions(skill, fold, 50, heads=levels)
            finish(tmp_path, make_spec("abmil", fold=fold, config={"head": head}), p)
        p = paired_predictions(1.0, fold, 77, heads=("coarse",))
        finish(tmp_path, make_spec("hmil", fold=fold, config={"tree": "true"}), p)
    analysis = analysis_of(tmp_path)
    labels = {row.label for row in analysis.board.rows}
    assert labels == {"abmil", "mean", "hmil", "abmil (multi head)", "abmil (soft labels)"}
    kinds = {(g.method, g.level, str(g.control), g.other) for g in of_accuracy(analysis)}
    assert kinds == {
        ("abmil (multi head)", "coarse", "without the head, summed", "abmil"),
        ("abmil (multi head)", "coarse", "without the head, least risk", "abmil"),
        ("abmil (multi head)", "leaf", "without the head", "abmil"),
        ("abmil (soft labels)", "leaf", "without the head", "abmil"),
        ("hmil", "coarse", "own leaves, summed", "hmil"),
        ("hmil", "coarse", "own leaves, least risk", "hmil"),
        ("hmil", "coarse", "flat, summed", "abmil"),
        ("hmil", "coarse", "flat, summed", "mean"),
        ("hmil", "coarse", "flat, least risk", "abmil"),
        ("hmil", "coarse", "flat, least risk", "mean"),
        ("hmil", "coarse", "head alone", "abmil (multi head)"),
        ("hmil", "leaf", "head alone", "abmil (multi head)"),
        ("hmil", "leaf", "head alone", "abmil (soft labels)"),
    }
    text = "\n".join(map(str, caveats_of(analysis)))
    assert re.search(
        r"hmil's leaf decisions are .* those of abmil \((multi head|soft labels)\)", text
    )
    assert "those with a shuffled tree" not in text  # none was trained


def test_flat_controls_are_the_highest_by_their_own_score(tmp_path):
    skills = {"abmil": 1.0, "mean": 0.2, "max": 0.6, "clam-sb": 0.8, "clam-mb": 0.7}
    write_grid(tmp_path, skills, seeds=1, folds=2)
    for fold in (0, 1):
        p = paired_predictions(1.0, fold, 77, heads=("coarse",))
        finish(tmp_path, make_spec("hmil", fold=fold), p)
    analysis = analysis_of(tmp_path)
    rows = {row.label: row for row in analysis.board.rows}

    def summed(label):
        cells = rows[label].predictions.values()
        pairs = [(p.truth("coarse"), p.summed("coarse").argmax(1)) for p in cells]
        return np.mean([balanced_accuracy_score(*pair) for pair in pairs])

    held = [
        g.other for g in gains(analysis) if str(g.control) == "flat, summed" and "acc" in metric(g)
    ]
    assert held == sorted(skills, key=summed, reverse=True)[:3]


def test_heads_have_the_names_of_the_options():
    assert {"flat", *HEADS} == set(get_args(HeadName))
