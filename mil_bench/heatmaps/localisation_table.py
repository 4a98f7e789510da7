"""``localisation.csv`` in a run's folder: how well every class's map finds its witnesses."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from rich.table import Table

from mil_bench.base.atomic import write_text
from mil_bench.base.csv_safety import escape, unescape
from mil_bench.base.errors import DataError
from mil_bench.evaluation.sums import mean_defined
from mil_bench.runs.directory import RunDirectory

LOCALISATION = "localisation.csv"


@dataclass(frozen=True)
class ClassLocalisation:
    """One class of one level; numbers are ``nan`` if no slide was scored.

    ``source`` says where the scores of patches come from. ``slides`` is how many slides were
    scored: test slides of the class with witnesses and with other patches. ``witnesses`` and
    ``prevalence`` are the mean number and share of witnesses in them; the latter is the ``ap`` of
    chance, 0.5 the ``auc`` of chance.
    """

    level: str
    name: str
    source: str
    slides: int
    witnesses: float
    prevalence: float
    auc: float
    ap: float


_HEADER = [field.name for field in fields(ClassLocalisation)]
_WORDS = 3  # of the columns; the others are numbers


def write_localisation(run: Path, rows: Sequence[ClassLocalisation]) -> Path:
    """Write the file into a run folder, exact to the last bit, and return its path."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for row in rows:
        values = astuple(row)  # escaped words, exact numbers
        writer.writerow([*map(escape, values[:_WORDS]), *map(repr, values[_WORDS:])])
    write_text(run / LOCALISATION, text.getvalue())
    return run / LOCALISATION


def read_localisation(run: Path) -> list[ClassLocalisation] | None:
    """Return the rows of a run's file; ``None`` where it has none.

    Raises ``DataError`` for a file that :func:`write_localisation` has not written.
    """
    path = run / LOCALISATION
    if not path.is_file():
        return None
    try:
        header, *lines = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        if header != _HEADER:  # other columns: another version
            raise ValueError(f"columns {header}")
        return [_row(line) for line in lines]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} is damaged or of another version ({error}); recompute it with `mil-bench "
            "localise --overwrite`."
        ) from None


def _row(line: Sequence[str]) -> ClassLocalisation:
    level, name, source = map(unescape, line[:_WORDS])
    slides, *numbers = line[_WORDS:]
    return ClassLocalisation(level, name, source, int(slides), *map(float, numbers))


# The localisation of runs on the screen: a table per dataset, a line per method and level.

RowsOfRuns = Mapping[RunDirectory, Sequence[ClassLocalisation]]


def localisation_screen(runs: RowsOfRuns) -> list[Table]:
    """Return means over runs of means over classes; chance of AP is the share of witnesses."""
    tables: dict[str, dict[tuple[str, str, str], list[list[ClassLocalisation]]]] = {}
    for directory, rows in runs.items():
        spec = directory.read_definition()
        levels: dict[tuple[str, str], list[ClassLocalisation]] = defaultdict(list)
        for row in rows:
            if row.slides:  # classes without a scored slide have no number
                levels[row.level, row.source].append(row)
        for (level, source), of_level in levels.items():
            methods = tables.setdefault(f"{spec.dataset}, {spec.encoder}", {})
            methods.setdefault((spec.method, level, source), []).append(of_level)
    return [_table(title, methods) for title, methods in tables.items()]


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
