"""Which figures a board gets, and that equal runs give equal bytes."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import grid_of, reports_of, words
from prediction_cases import BRACS, FLAT, make
from run_folders import fail, finish, make_spec

from mil_bench.base.errors import DataError
from mil_bench.boards.figures import critical, overview
from mil_bench.boards.figures.write import FIGURES, write_overviews
from mil_bench.cli.main import main
from mil_bench.pictures.style import save_both

OF_LEVELS = {"severity", "coarse_gain"}


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    runs = grid_of(tmp_path_factory.mktemp("flat"), ("abmil", "mean"), FLAT, dataset="musk")
    (report,) = reports_of(runs)
    return report


@pytest.mark.parametrize("name", ["overview", *sorted(FIGURES.keys() - OF_LEVELS)])
def test_the_same_report_gives_the_same_bytes(flat, name, tmp_path):
    draw = {"overview": overview.draw, **FIGURES}[name]
    first, again = (save_both(draw(flat), tmp_path / name) for name in "ab")
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")
    assert b"<dc:date>" not in first[1].read_bytes()


def test_a_flat_tree_has_no_figure_of_levels(flat):
    absent = {name for name, draw in FIGURES.items() if draw(flat) is None}
    assert absent == OF_LEVELS


def test_a_board_without_results_has_no_figure(tmp_path):
    fail(tmp_path, make_spec())
    (report,) = reports_of(tmp_path)
    assert all(draw(report) is None for draw in (overview.draw, *FIGURES.values()))
    assert write_overviews([report], tmp_path) == []


def test_one_patient_is_drawn_without_intervals_and_says_why(tmp_path):
    p = make(FLAT, [0, 1, 1], {"leaf": np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4]])}, ["p"] * 3)
    finish(tmp_path, make_spec(tree=FLAT), p)
    (report,) = reports_of(tmp_path)
    for name, draw in FIGURES.items():
        if figure := draw(report):
            figure.canvas.draw()
            if name in ("forest", "pareto"):
                assert any("No intervals: the predictions" in w for w in words(figure))


def test_a_row_that_lacks_runs_says_so_beside_its_name(tmp_path):
    grid_of(tmp_path, ("abmil", "mean"), BRACS, seeds=1)
    finish(tmp_path, make_spec("max", fold=0))
    (report,) = reports_of(tmp_path)
    assert any("max (1 of 2 runs)" in word for word in words(FIGURES["forest"](report)))


def datasets(runs, count, methods=("abmil", "max", "mean")):
    for i in range(count):
        grid_of(runs, methods, FLAT, seeds=1, folds=1, dataset=f"d{i}")
    return reports_of(runs)


def test_six_datasets_carry_a_critical_difference_diagram(tmp_path):
    reports = datasets(tmp_path, 6)
    ranks = dict(
        zip(
            critical.blocks_of(reports).methods, critical.blocks_of(reports).mean_ranks, strict=True
        )
    )
    shown = words(critical.draw(reports))
    for method, rank in ranks.items():
        assert any(method in word and f"{rank:.2f}" in word for word in shown)


def test_five_datasets_do_not_and_the_reason_is_told(tmp_path):
    reports = datasets(tmp_path, 5)
    with pytest.raises(DataError, match="5 datasets are too few for a test"):
        critical.draw(reports)


def test_kinds_share_no_diagram(tmp_path):
    grid_of(tmp_path, ("abmil",), FLAT, seeds=1, folds=1, kind="real", dataset="r")
    with pytest.raises(DataError, match="share no diagram"):
        critical.draw(datasets(tmp_path, 1))


def test_two_encoders_of_a_dataset_are_one_block(tmp_path):
    for i in range(6):
        for encoder in ("uni", "gigapath"):
            grid_of(tmp_path, ("abmil", "mean"), FLAT, seeds=1, folds=1, dataset=f"d{i}",
                    encoder=encoder)  # fmt: skip
    assert critical.blocks_of(reports_of(tmp_path)).scores.shape == (6, 2)


def test_the_command_draws_all_one_or_none(tmp_path, capsys):
    grid_of(tmp_path / "runs", ("abmil", "mean"), FLAT, seeds=1, folds=1, dataset="musk")
    for words_, expected in (
        (["--figures"], {"overview.png", "forest.png", "forest.svg", "roc.png"}),
        ([], {"overview.png"}),
        (["--no-figures"], set()),
    ):
        out = tmp_path / f"out{len(expected)}"
        with pytest.raises(SystemExit) as done:
            main(["leaderboard", "--runs", str(tmp_path / "runs"), "--out", str(out), *words_])
        assert done.value.code == 0
        drawn = {path.name for path in out.rglob("*") if path.suffix in (".png", ".svg")}
        assert expected <= drawn
        assert bool(expected) == bool(drawn)
    assert "no critical-difference diagram of embedded data" in capsys.readouterr().out


def test_curves_of_a_run_are_found_by_the_beginning_of_its_key(tmp_path, capsys):
    spec = make_spec()
    folder, _ = finish(tmp_path / "runs", spec)
    (folder / "train.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
    for key, code in ((spec.key[:6], 0), ("nothing", 2)):
        with pytest.raises(SystemExit) as done:
            main(["curves", key, "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "o")])
        assert done.value.code == code
    assert (tmp_path / "o" / f"curves-{spec.key}.svg").exists()
    assert "unknown run 'nothing'" in capsys.readouterr().err
