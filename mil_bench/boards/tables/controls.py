"""Is it the hierarchy? Direct heads beside what comes without one: a row per head and control."""

from __future__ import annotations

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.controls import HARDEST, METRICS, Gain, gains
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.pairs import DIFFERENCE, difference_cells
from mil_bench.boards.tables.table import Cell, Row, Table
from mil_bench.evaluation.metrics import PRIMARY

KEYS = ("method", "level", "score", "control", "other")
SHOWN = (*KEYS[:2], *KEYS[3:], "difference", "p_holm", "refits", "p_refits", "decision")
NOTE = (
    "Difference: the method's own head minus the control. own leaves: leaf probabilities of the "
    f"method itself, flat: of the {HARDEST} flat methods with the highest score, summed under each "
    "class or decided for the least risk (CRM). head alone: a flat method with a hierarchical "
    "head. without the head: the method of such a row as it is. coarse only: trained with "
    "`mil-bench run --tree coarse`. shuffled tree: leaves dealt out at random in training; a gain "
    "that survives it is not due to the hierarchy. Holm's correction is over the controls of a head"
)


def controls_table(analysis: Analysis) -> Table | None:
    """What heads gain over every control; ``None`` where no method has heads of upper levels."""
    rows = tuple(_row(analysis, gain) for gain in gains(analysis))
    if not rows:
        return None
    every = columns(*KEYS, *DIFFERENCE, table="controls")
    return Table("controls", "Is it the hierarchy?", every, rows, KEYS, SHOWN, NOTE, PRIMARY)


def _row(analysis: Analysis, gain: Gain) -> Row:
    metric = next(m for m in METRICS if gain.pair.score.metric.endswith(m))
    who: dict[str, Cell] = {
        "method": gain.method,
        "level": gain.level,
        "score": metric,
        "control": gain.kind,
        "other": gain.control,
    }
    return Row(gain.method, who | difference_cells(analysis, gain.pair), metric)
