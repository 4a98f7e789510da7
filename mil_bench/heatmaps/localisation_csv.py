"""``localisation.csv`` in a run's folder: how well every class's map finds its witnesses."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from mil_bench.atomic import write_text
from mil_bench.errors import DataError
from mil_bench.evaluation.csv_safety import escape, unescape

LOCALISATION = "localisation.csv"


@dataclass(frozen=True)
class ClassLocalisation:
    """One class of one level; numbers are ``nan`` where no slide can tell.

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
    """Write the file into a run's folder, exact to the last bit; its path."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for row in rows:
        values = astuple(row)
        writer.writerow([*map(escape, values[:_WORDS]), *map(repr, values[_WORDS:])])
    write_text(run / LOCALISATION, text.getvalue())
    return run / LOCALISATION


def read_localisation(run: Path) -> list[ClassLocalisation] | None:
    """The rows of a run's file; ``None`` where it has none.

    Raises ``DataError`` for a file that :func:`write_localisation` has not written.
    """
    path = run / LOCALISATION
    if not path.is_file():
        return None
    try:
        header, *lines = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        if header != _HEADER:
            raise ValueError(f"columns {header}")
        return [_row(line) for line in lines]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} is damaged or of another version ({error}); compute it again with "
            "`mil-bench localise --again`."
        ) from None


def _row(line: Sequence[str]) -> ClassLocalisation:
    level, name, source = map(unescape, line[:_WORDS])
    slides, *numbers = line[_WORDS:]
    return ClassLocalisation(level, name, source, int(slides), *map(float, numbers))
