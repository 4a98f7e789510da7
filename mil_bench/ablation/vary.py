"""Sensitivity grids: every combination of values of a few fields, compared with the default."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mil_bench.ablation.estimate import Estimate, estimate, read_row
from mil_bench.base.errors import UsageError
from mil_bench.boards.board import BoardRow
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.variants import settings
from mil_bench.evaluation.metrics import Score
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.task import Prepare, Task

ENCODER = "encoder"
MOST = 3  # axes: two of a heat map, one of panels
Values = tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    """A field, in the grammar of ``--set`` or ``encoder``, and the values to try."""

    key: str
    values: Values

    @property
    def field(self) -> str:
        """The key without ``trainer.``, ``method.`` or a method's name before it."""
        return self.key.rpartition(".")[2]


@dataclass(frozen=True)
class Point:
    """One combination of values and its runs."""

    values: Values
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Varied:
    """A sensitivity grid with what lies on disk of its runs.

    ``default`` is the combination that is run without ``--vary``, ``None`` when it is not among
    those asked for; ``example`` is a run of it.
    """

    example: RunSpec
    axes: tuple[Axis, ...]
    metrics: tuple[Score, ...]
    cells: dict[Values, BoardRow]
    default: Values | None

    def estimate(self, values: Values, metric: Score) -> Estimate:
        """A score of one combination and its difference to the default."""
        row = self.cells[values]
        return estimate(row, self.cells.get(self.default or (), row), metric)

    @property
    def shown(self) -> list[Score]:
        """The scores that any run has, or all where no run is done."""
        found = [m for m in self.metrics if any(self.estimate(v, m).spread.n for v in self.cells)]
        return found or list(self.metrics)

    @property
    def default_words(self) -> str:
        """``lr=0.002, hidden=64``: the values of the axes that are the method's own here."""
        own = {**settings(self.example), ENCODER: self.example.encoder}
        found = {axis.key: own.get(axis.key, own.get(axis.field, "")) for axis in self.axes}
        return ", ".join(
            f"{key}={'none' if value == 'null' else value}" for key, value in found.items()
        )


@dataclass(frozen=True)
class VaryPlan:
    """All points of a grid, and the runs of the default whether they are among them or not."""

    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    default: tuple[Task, ...]

    def read(self, metrics: Sequence[Score], runs: Path) -> Varied:
        """Look up the runs under ``runs``."""
        method = self.default[0].spec.method
        cells = {
            point.values: read_row(
                runs, method, _words(self.axes, point.values), [task.spec for task in point.tasks]
            )
            for point in self.points
        }
        key = self.default[0].spec.key
        same = [point.values for point in self.points if point.tasks[0].spec.key == key]
        default = same[0] if same else None
        return Varied(self.default[0].spec, self.axes, tuple(metrics), cells, default)


def parse_axes(pairs: Sequence[str]) -> tuple[Axis, ...]:
    """``["lr=1e-4,3e-4"]`` -> axes; commas inside brackets do not part values."""
    axes: dict[str, Axis] = {}
    for pair in pairs:
        key, equals, text = (part.strip() for part in pair.partition("="))
        values = tuple(dict.fromkeys(_parts(text)))
        if not (key and equals and values):
            raise UsageError(
                f"--vary {pair!r} is not KEY=VALUES; expected for example lr=1e-4,3e-4."
            )
        if len(values) == 1:
            instead = f"--encoder {values[0]}" if key == ENCODER else f"--set {key}={values[0]}"
            raise UsageError(
                f"--vary {pair!r} has one value, which varies nothing; name two or more, or fix it "
                f"with {instead}."
            )
        if key in axes:
            raise UsageError(f"--vary names {key!r} twice; give all its values once.")
        axes[key] = Axis(key, values)
    if len(axes) > MOST:
        raise UsageError(
            f"--vary names {len(axes)} fields, which no picture shows; expected {MOST} at most: "
            "search more with `mil-bench tune`."
        )
    return tuple(axes.values())


def plan_vary(
    grid: GridRequest, axes: Sequence[Axis], machine: MachineRequest, prepare: Prepare
) -> VaryPlan:
    """Every combination of the values of ``axes`` for the one method of ``grid``.

    Raises ``UsageError`` for a field that is set and varied, ``UnknownNameError`` for an unknown
    one, ``ConfigError`` for a wrong value, and what :func:`~mil_bench.runs.plan.plan` raises.
    """
    both = [axis.key for axis in axes if axis.key in grid.settings]
    if both:
        raise UsageError(f"{both[0]!r} is both in --set and in --vary; keep one.")
    points = tuple(
        Point(values, tuple(plan(_at(grid, axes, values), machine, prepare)))
        for values in itertools.product(*(axis.values for axis in axes))
    )
    _check_distinct(axes, points)
    return VaryPlan(tuple(axes), points, tuple(plan(_base(grid, axes), machine, prepare)))


def _check_distinct(axes: Sequence[Axis], points: Sequence[Point]) -> None:
    seen: dict[str, Point] = {}
    for point in points:
        twin = seen.setdefault(point.tasks[0].spec.key, point)
        if twin is not point:
            raise UsageError(
                f"--vary: {_words(axes, twin.values)} and {_words(axes, point.values)} are the "
                "same experiment; name values that differ for this dataset."
            )


def _base(grid: GridRequest, axes: Sequence[Axis]) -> GridRequest:
    """The grid as it is run without ``--vary``; of several encoders the first counts."""
    if grid.data.options.encoder is not None:
        return grid
    named = [axis for axis in axes if axis.key == ENCODER]
    return _at(grid, named, [axis.values[0] for axis in named])


def _at(grid: GridRequest, axes: Sequence[Axis], values: Sequence[str]) -> GridRequest:
    chosen = {axis.key: value for axis, value in zip(axes, values, strict=True)}
    encoder = chosen.pop(ENCODER, None)
    if encoder is not None:
        options = replace(grid.data.options, encoder=encoder)
        grid = replace(grid, data=replace(grid.data, options=options))
    return replace(grid, settings={**grid.settings, **chosen})


def _words(axes: Sequence[Axis], values: Values) -> str:
    return ", ".join(f"{axis.key}={value}" for axis, value in zip(axes, values, strict=True))


def _parts(text: str) -> list[str]:
    """Values between commas that stand outside brackets and braces."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "[{") - (c in "]}")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts if part.strip()]
