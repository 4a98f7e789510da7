"""The report for people."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mil_bench.bags.check.report import DataReport
from mil_bench.finding import render, render_verdict
from mil_bench.taxonomy import LEAF


def show(report: DataReport, console: Console) -> None:
    """The classes, a line per verdict, and whether a run can start."""
    console.print(
        f"[bold]{escape(report.name)}[/]  {escape(report.title)}  ({report.kind} data, "
        f"tree {escape(report.tree)})"
    )
    console.print(_classes(report))
    render(report.verdicts, console)
    render_verdict(len(report.problems), console)


def _classes(report: DataReport) -> Table:
    title = f"classes by set (split {report.split}, fold 0)" if report.split else "classes"
    patients = report.classes["patients"].any()
    classes = report.classes.drop(columns=["groups"] if patients else ["groups", "patients"])
    table = Table(title=title)
    for name in classes.columns:
        text = name in ("level", "class")
        table.add_column(name, justify="left" if text else "right")
    for level, rows in classes.groupby("level", sort=False):
        for row in rows.itertuples(index=False):
            table.add_row(*map(escape, map(str, row)))
        if level != LEAF:
            table.add_section()
    return table
