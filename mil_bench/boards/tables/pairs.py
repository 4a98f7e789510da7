"""Every two methods, score by score: how far apart, and whether that is more than chance."""

from __future__ import annotations

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.controls import has_heads
from mil_bench.boards.pairs import Pair, all_pairs, compare_pairs
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import origin
from mil_bench.boards.tables.table import Cell, Number, Row, Table
from mil_bench.evaluation.inference.formulas import detectable_difference
from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.metrics import PRIMARY, facts, in_order

KEYS = ("method", "other", "score")
DIFFERENCE = (
    "difference", "p", "p_holm", "superiority", "refits", "p_refits", "p_both", "won", "rope_worse",
    "rope_equal", "rope_better", "detectable", "decision", "coverage", "folds", "seeds", "split",
    "split_digest", "leaky", "run_keys", "other_run_keys",
)  # fmt: skip
"""What is said of one pair, and of the runs behind it."""
SHOWN = (*KEYS, "difference", "p_holm", "refits", "p_refits", "decision")
AS_TRAINED = (
    "'as trained': patients separate these trained models, folds do not show that methods trained "
    "anew would keep the order"
)
NOTE = (
    f"Method minus other. {AS_TRAINED}. Holm's correction is over all pairs of a score; tiers and "
    "verdict compare with the leader alone, which are fewer tests"
)
_REPEATED = ("fine_error", "hp", "hr")
_OF_HEADS = ("inconsistency", "soft_inconsistency")
"""0 by construction for methods without upper heads: compared between those that have some."""


def pairs_table(analysis: Analysis) -> Table | None:
    """A row per score and pair, ``None`` with fewer than two comparable rows.

    All scores of leaves, and of upper levels and the tree those that boards are read by.
    """
    wanted = all_pairs(analysis)
    if not wanted:
        return None
    rows = [
        _row(analysis, pair)
        for score in _scores(analysis)
        for pair in compare_pairs(analysis, score, _fitting(analysis, score, wanted))
    ]
    every = columns(*KEYS, *DIFFERENCE, table="pairs")
    return Table("pairs", "Pairs", every, tuple(rows), KEYS, SHOWN, NOTE, PRIMARY)


def difference_cells(analysis: Analysis, pair: Pair) -> dict[str, Cell]:
    """The cells of :data:`DIFFERENCE`; runs are those of the first, ``other_run_keys`` apart."""
    d, r, rope = pair.patients, pair.refits, pair.rope
    one, two = (origin(analysis.board, row) for row in pair.rows)
    return {
        **{name: one[name] for name in ("seeds", "split", "split_digest", "leaky", "run_keys")},
        "other_run_keys": two["run_keys"],
        "coverage": pair.rows[0].coverage,
        "difference": Number.of(d),
        "p": Number(d.p),
        "p_holm": Number(pair.p_holm),
        "superiority": Number(pair.superiority),
        "refits": Number(r.mean, r.low, r.high) if r.n > 1 else None,
        "p_refits": Number(r.p) if r.n > 1 else None,
        "p_both": Number(pair.p_both) if r.n > 1 else None,
        "won": Number(pair.won),
        "rope_worse": Number(rope.below) if rope and r.n > 1 else None,
        "rope_equal": Number(rope.within) if rope and r.n > 1 else None,
        "rope_better": Number(rope.above) if rope and r.n > 1 else None,
        "detectable": Number(detectable_difference(d.error)),
        "folds": Number(r.n),
        "decision": pair.decision,
    }


def _row(analysis: Analysis, pair: Pair) -> Row:
    who: dict[str, Cell] = {"method": pair.a, "other": pair.b, "score": pair.score.metric}
    return Row(pair.a, who | difference_cells(analysis, pair), pair.score.metric)


def _scores(analysis: Analysis) -> list[Score]:
    """Scores of all slides that at least two comparable rows have, the ranked one first."""
    found = dict.fromkeys(
        score.metric
        for label in analysis.paired
        for score in analysis.scores[label]
        if not score.name and _is_read(score.metric)
    )
    return [Score(name) for name in sorted(in_order(found), key=lambda name: name != PRIMARY)]


def _fitting(
    analysis: Analysis, score: Score, wanted: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    if score.metric not in _OF_HEADS:
        return wanted
    return [pair for pair in wanted if all(has_heads(analysis, label) for label in pair)]


def _is_read(name: str) -> bool:
    """Not the repetition of a leaf score, nor one of a decision that is there as a control."""
    derived = name.startswith((f"{LEAF}_", "crm_")) or "_path_" in name or "_crm_" in name
    return facts(name).better != 0 and not derived and name not in _REPEATED
