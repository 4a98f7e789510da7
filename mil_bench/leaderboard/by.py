"""Reports with a table of subgroups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mil_bench.dataset import DatasetOptions
from mil_bench.errors import DataError
from mil_bench.leaderboard.report import Report
from mil_bench.leaderboard.subgroups import Subgroups
from mil_bench.leaderboard.tables.subgroups import subgroups_table


def with_subgroups(
    reports: Sequence[Report], column: str, dataset: str | None, data_root: Path | None
) -> list[Report]:
    """The reports, each with scores by ``column`` of its dataset's label table.

    With ``dataset`` (a name or a ``.toml``) only its reports get the table. Raises ``DataError``
    where none of them is among the reports.
    """
    options = DatasetOptions(data_root=data_root)
    names = [dataset] if dataset else dict.fromkeys(r.board.id.dataset for r in reports)
    read = [Subgroups.read(name, column, options) for name in names]
    groups = {found.dataset: found for found in read}
    if not any(r.board.id.dataset in groups for r in reports):
        raise DataError(f"no board is of {', '.join(groups)}; choose another --dataset or --runs.")
    return [_with(report, groups.get(report.board.id.dataset)) for report in reports]


def _with(report: Report, groups: Subgroups | None) -> Report:
    table = subgroups_table(report.analysis, groups) if groups else None
    return replace(report, tables=(*report.tables, table)) if table else report
