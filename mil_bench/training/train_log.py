"""``train.csv``: one row per epoch with every loss term, the rate, validation scores, seconds."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from mil_bench.atomic import write_text


def write_train_log(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write all epochs in one atomic step.

    The file is made from the checkpoint's history each time, so it never holds an epoch twice or
    one that a resumed run has to repeat. A term that an epoch does not have is an empty cell.
    """
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())
