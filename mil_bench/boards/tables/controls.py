"""Is it the hierarchy? Heads compared with what needs none: a row per head and control."""

from __future__ import annotations

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED
from mil_bench.boards.controls import HARDEST, Gain, gains
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.pairs import DIFFERENCE, difference_cells
from mil_bench.boards.tables.table import Cell, Row, Table
from mil_bench.evaluation.metrics import Score

KEYS = ("method", "level", "score", "control", "other")
SHOWN = (*KEYS[:2], *KEYS[3:], "difference", "p_holm", "refits", "p_refits", "decision")
NOTE = (
    "Difference: the method's own head minus the control. own leaves: leaf probabilities of the "
    f"method itself, flat: of the {HARDEST} flat methods with the highest score, summed under each "
    "class or decided for the least risk (CRM). head alone: a flat method with a hierarchical "
    "head. without the head: the method of such a row without it. coarse only: trained with "
    "`mil-bench run --tree coarse`. shuffled tree: trained with leaves assigned to parents at "
    "random; a gain that survives it is not due to the hierarchy. Holm's correction is over the "
    "controls of a head"
)


def controls_table(analysis: Analysis) -> Table | None:
    """Return what heads gain over every control; ``None`` without heads of upper levels."""
    rows = tuple(_row(analysis, gain) for gain in gains(analysis))
    if not rows:
        return None
    every = columns(*KEYS, *DIFFERENCE, table="controls")
    return Table("controls", "Is it the hierarchy?", every, rows, KEYS, SHOWN, NOTE, (RANKED,))


def _row(analysis: Analysis, gain: Gain) -> Row:
    metric = gain.pair.score.metric
    who: dict[str, Cell] = {
        "method": gain.method,
        "level": gain.level,
        "score": metric,
        "control": str(gain.control),
        "other": gain.other,
    }
    return Row(gain.method, who | difference_cells(analysis, gain.pair), Score(metric))
