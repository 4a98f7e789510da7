"""What ``mil-bench status`` shows of a folder of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from mil_bench.errors import RunError
from mil_bench.runs.directory import run_directories
from mil_bench.spec import RunSpec
from mil_bench.studies.progress import PENDING, RunState, look
from mil_bench.studies.show import failures, overview, running, time_left
from mil_bench.studies.stored import StoredGrid, no_runs, stored_grids
from mil_bench.studies.timing import Timings, timings
from mil_bench.words import counted


@dataclass
class Overseen:
    """The grids that are shown, their runs (each once), and what could not be read."""

    grids: list[StoredGrid]
    states: list[RunState]
    timings: Timings
    hidden: int = 0  # earlier grids
    notes: list[str] = field(default_factory=list)

    @property
    def unfinished(self) -> bool:
        """Whether a run is being made or still to do."""
        return any(state.status in {*PENDING, "running"} for state in self.states)

    def rendered(self) -> RenderableType:
        """Grids, time left, what runs now, counts, failures and notes: what changes comes first."""
        now = sum(state.status == "running" for state in self.states)
        jobs = now or max((grid.jobs for grid in self.grids), default=1)
        parts: list[RenderableType] = [
            Text.from_markup(f"[bold]{escape(grid.title)}[/]  [dim]planned {grid.written}[/]")
            for grid in self.grids
        ]
        parts += [Text(time_left(self.states, self.timings, jobs))]
        parts += [running(self.states, self.timings), overview(self.states, self.timings)]
        parts += [failures(self.states)]
        if any(state.status == "failed" for state in self.states):
            parts.append(Text("make them again with `mil-bench retry --failed`", style="dim"))
        if self.hidden:
            parts.append(Text(f"{counted(self.hidden, 'earlier grid')}: see --all", style="dim"))
        return Group(*parts, *(Text(note, style="yellow") for note in self.notes))


def oversee(runs: Path, everything: bool = False) -> Overseen:
    """The latest grid and those of which something is running; or every grid and run.

    Raises ``DataError`` when there is no grid and no run under ``runs``.
    """
    grids, notes = stored_grids(runs)
    states = {spec.key: state for grid in grids for spec, state in _looked(runs, grid)}
    shown = [
        grid
        for i, grid in enumerate(grids)
        if everything or i == 0 or any(states[s.key].status == "running" for s in grid.specs)
    ]
    if everything or not grids:
        others = [spec for spec in _all_specs(runs, notes) if spec.key not in states]
        states |= {state.spec.key: state for state in look(runs, others)}
        seen = list(states.values())
    else:
        seen = [states[key] for key in dict.fromkeys(s.key for g in shown for s in g.specs)]
    if not seen:
        raise no_runs(runs)
    known = timings(runs, {state.spec.dataset for state in seen})
    return Overseen(shown, seen, known, len(grids) - len(shown), notes)


def _looked(runs: Path, grid: StoredGrid) -> list[tuple[RunSpec, RunState]]:
    return list(zip(grid.specs, look(runs, grid.specs), strict=True))


def _all_specs(runs: Path, notes: list[str]) -> list[RunSpec]:
    """Definitions of all run folders; an unreadable one becomes a note."""
    found = []
    for directory in run_directories(runs):
        try:
            found.append(directory.read_spec())
        except RunError as error:
            notes.append(str(error))
    return found
