"""The localisation of runs on the screen: a table per dataset, a line per method and level."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from rich.table import Table

from mil_bench.evaluation.undefined import mean_defined
from mil_bench.heatmaps.localisation_csv import ClassLocalisation
from mil_bench.runs.directory import RunDirectory

Rows = Mapping[RunDirectory, Sequence[ClassLocalisation]]


def localisation_screen(runs: Rows) -> list[Table]:
    """Means over runs of means over classes; chance of AP is the share of witnesses."""
    found: dict[str, dict[tuple[str, str, str], list[list[ClassLocalisation]]]] = {}
    for place, rows in runs.items():
        spec = place.read_spec()
        levels: dict[tuple[str, str], list[ClassLocalisation]] = defaultdict(list)
        for row in rows:
            if row.slides:
                levels[row.level, row.source].append(row)
        for (level, source), of_level in levels.items():
            methods = found.setdefault(f"{spec.dataset}, {spec.encoder}", {})
            methods.setdefault((spec.method, level, source), []).append(of_level)
    return [_table(title, methods) for title, methods in found.items()]


def _table(
    title: str, methods: Mapping[tuple[str, str, str], Sequence[Sequence[ClassLocalisation]]]
) -> Table:
    table = Table("method", "level", "scores", title=title, title_justify="left")
    for name in ("runs", "AUC", "AP", "chance AP"):
        table.add_column(name, justify="right")
    for (method, level, source), runs in sorted(methods.items()):
        means = [
            mean_defined([mean_defined([getattr(row, key) for row in rows]) for rows in runs])
            for key in ("auc", "ap", "prevalence")
        ]
        table.add_row(method, level, source, str(len(runs)), *(f"{100 * m:.1f}" for m in means))
    return table
