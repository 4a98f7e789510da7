"""Sensitivity grids: every combination of values of a few settings, compared with the default."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mil_bench.ablation.ablate import Ablation, PlannedRow, chosen_scores
from mil_bench.base.errors import UsageError
from mil_bench.base.finding import Note
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.board import Study
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.variants import settings
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.task import Prepare, Task

ENCODER = "encoder"
MOST = 3  # two axes of a heatmap, one of panels
AxisValues = tuple[str, ...]
_TEST_SCORES = Note(
    "tuning",
    "these are test scores: a value chosen by them is tuned on the test set; choose on validation "
    "slides with `mil-bench tune`",
)


@dataclass(frozen=True)
class Axis:
    """A setting, named as for ``--set``, or ``encoder``, and the values to try."""

    key: str
    values: AxisValues

    @property
    def field(self) -> str:
        """The key without ``trainer.``, ``method.`` or a method's name before it."""
        return self.key.rpartition(".")[2]


def parse_axes(pairs: Sequence[str]) -> tuple[Axis, ...]:
    """Parse ``["lr=1e-4,3e-4"]`` into axes; commas inside brackets do not separate values."""
    axes: dict[str, Axis] = {}
    for pair in pairs:
        key, equals, text = (part.strip() for part in pair.partition("="))
        values = tuple(dict.fromkeys(_parts(text)))
        if not (key and equals and values):
            raise UsageError(
                f"--vary {pair!r} is not KEY=VALUES; expected, for example, lr=1e-4,3e-4."
            )
        if len(values) == 1:
            instead = f"--encoder {values[0]}" if key == ENCODER else f"--set {key}={values[0]}"
            raise UsageError(
                f"--vary {pair!r} has one value; pass two or more, or fix it with {instead}."
            )
        if key in axes:
            raise UsageError(f"--vary names {key!r} twice; list all its values once.")
        axes[key] = Axis(key, values)
    if len(axes) > MOST:
        raise UsageError(
            f"--vary names {len(axes)} settings, but one figure shows at most {MOST}; search more "
            "with `mil-bench tune`."
        )
    return tuple(axes.values())


def plan_settings(
    grid: GridRequest,
    axes: Sequence[Axis],
    metrics: Sequence[str],
    machine: MachineRequest,
    prepare: Prepare,
) -> Ablation:
    """Plan every combination of the values of ``axes`` for the one method of ``grid``.

    Rows are compared with the default, the combination that runs without ``--vary``, if that is
    among them. Raises ``UsageError`` for a setting that is both set and varied,
    ``UnknownNameError`` for an unknown one, ``ConfigError`` for a wrong value, and what
    :func:`~mil_bench.runs.plan.plan` raises.
    """
    both = [axis.key for axis in axes if axis.key in grid.settings]
    if both:
        raise UsageError(f"{both[0]!r} is both in --set and in --vary; keep one.")
    points = {
        # Every combination, planned as a run without --vary would be.
        values: tuple(plan(_at(grid, axes, values), machine, prepare))
        for values in itertools.product(*(axis.values for axis in axes))
    }
    _check_distinct(axes, points)
    default = plan(_base(grid, axes), machine, prepare)[0].spec
    # One task is enough: folds and seeds are the same.
    alike = (values for values, tasks in points.items() if tasks[0].spec.key == default.key)
    same = next(alike, None)  # none: the default is not among the values
    study = Study(
        default.method,
        "" if same is None else _words(axes, same),
        tuple(axis.key for axis in axes),
        {_words(axes, values): _cells(axes, values, values == same) for values in points},
        chosen_scores(Taxonomy.from_dict(default.tree), metrics),
        settings=True,
    )
    rows = tuple(PlannedRow(_words(axes, values), tasks) for values, tasks in points.items())
    missing = Note("comparison", f"the default ({_own(axes, default)}) is not among the values")
    return Ablation(study, rows, default, (*([] if same else [missing]), _TEST_SCORES))


def _cells(axes: Sequence[Axis], values: AxisValues, default: bool) -> dict[str, str]:
    named = {axis.key: value for axis, value in zip(axes, values, strict=True)}
    return {**named, "default": "yes" if default else "no"}


def _own(axes: Sequence[Axis], spec: RunSpec) -> str:
    """``lr=0.002, hidden=64``: the values of the axes that the method has here by default."""
    own = {**settings(spec), ENCODER: spec.encoder}
    values = {axis.key: own.get(axis.key, own.get(axis.field, "")) for axis in axes}
    return ", ".join(f"{k}={'none' if value == 'null' else value}" for k, value in values.items())


def _check_distinct(axes: Sequence[Axis], points: Mapping[AxisValues, Sequence[Task]]) -> None:
    seen: dict[str, AxisValues] = {}
    for values, tasks in points.items():
        first = seen.setdefault(tasks[0].spec.key, values)
        if first != values:
            raise UsageError(
                f"--vary: {_words(axes, first)} and {_words(axes, values)} are the same run; "
                "choose values that differ for this dataset."
            )


def _base(grid: GridRequest, axes: Sequence[Axis]) -> GridRequest:
    """The grid without ``--vary``; of several encoders, the first is the default."""
    if grid.data.options.encoder is not None:  # --encoder was given: that is the default
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


def _words(axes: Sequence[Axis], values: AxisValues) -> str:
    return ", ".join(f"{axis.key}={value}" for axis, value in zip(axes, values, strict=True))


def _parts(text: str) -> list[str]:
    """Values between commas outside brackets and braces."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "[{") - (c in "]}")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts if part.strip()]
