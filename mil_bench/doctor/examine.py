"""All checks in the order in which they are read, and the table of their findings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mil_bench.bags.cache.pack import default_cache
from mil_bench.doctor.data import check_cache, check_data
from mil_bench.doctor.finding import Finding
from mil_bench.doctor.machine import check_devices, check_folder, check_memory
from mil_bench.doctor.software import check_software
from mil_bench.doctor.storage import check_storage

MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "problem": ("problem", "bold red")}


def examine(
    runs: Path, data_root: Path | None, cache: Path | None, storage: str | None
) -> list[Finding]:
    """Look at software, devices, memory, disks, data and the storage of tuning studies."""
    packed = cache or default_cache()
    return [
        *check_software(),
        *check_devices(),
        *check_memory(),
        *check_folder("runs folder", runs, "--runs"),
        *check_folder("cache folder", packed, "--cache-dir"),
        *check_cache(packed),
        *check_data(data_root),
        *check_storage(runs, storage),
    ]


def render(findings: Sequence[Finding], console: Console) -> None:
    """A line per finding, its advice below it, and the verdict."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        word, style = MARKS[finding.state]
        table.add_row(finding.subject, Text(word, style), Text(finding.fact))
        if finding.advice:
            table.add_row("", "", Text(f"-> {finding.advice}", style="italic"))
    console.print(table)
    problems = sum(finding.state == "problem" for finding in findings)
    word = "problem" if problems == 1 else "problems"
    verdict = f"[red]{problems} {word} to solve[/]" if problems else "[green]ready to run[/]"
    console.print(verdict)
