"""Reports of small grids, and what figures have drawn, read back."""

from __future__ import annotations

from matplotlib.text import Text
from paired_runs import paired_predictions
from run_folders import finish, make_spec

from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.report import report_of


def grid_of(runs, methods, tree, *, folds=2, seeds=2, heads=(), **changes):
    """Runs of ``methods``, the first the best; ``heads`` maps methods to their upper heads."""
    for i, method in enumerate(methods):
        for fold in range(folds):
            for seed in range(seeds):
                own = dict(heads).get(method, ())
                p = paired_predictions(3 - i, fold, 10 * i + seed, n=50, tree=tree, heads=own)
                spec = make_spec(method, seed=seed, fold=fold, tree=tree, **changes)
                cost = {"parameters": 1000 * (5 - i), "train_seconds": 7.0 ** (i + 1)}
                finish(runs, spec, p, **cost)
    return runs


def reports_of(runs):
    return [report_of(board) for board in build_boards(collect(runs))]


def points(axis):
    """``(x, y)`` of every mark that is one point; lines have more."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axis.lines
        if len(line.get_xdata()) == 1
    ]


def bars(axis, y):
    """Ends of the horizontal bar at ``y``."""
    (ends,) = [
        [float(x) for x in line.get_xdata()]
        for line in axis.lines
        if len(line.get_xdata()) == 2 and set(line.get_ydata()) == {y}
    ]
    return ends


def words(figure):
    """Every text of a figure that somebody can see."""
    return [t.get_text() for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


def panel(figure, title):
    (axis,) = [a for a in figure.axes if a.get_title("left").startswith(title)]
    return axis
