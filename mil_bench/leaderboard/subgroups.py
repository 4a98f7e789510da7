"""Which slides belong to which subgroup: any column of a dataset's label table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mil_bench.dataset import DatasetOptions
from mil_bench.errors import DataError, UnknownNameError
from mil_bench.evaluation.predictions import Predictions
from mil_bench.leaderboard.board import BoardRow, Cell
from mil_bench.loading import load_labels

MOST = 30  # TCGA-OT has 28 sites
UNKNOWN = "not stated"


@dataclass(frozen=True)
class Subgroups:
    """``of`` maps slides of ``dataset`` to their value of ``column``; blanks are ``not stated``."""

    dataset: str
    column: str
    of: Mapping[str, str]

    @classmethod
    def read(cls, dataset: str, column: str, options: DatasetOptions) -> Subgroups:
        """From the labels of a dataset (a name or a ``.toml``), without its features.

        Raises ``UnknownNameError`` for a column that is not there, and ``DataError`` for one of
        more than 30 values.
        """
        loaded = load_labels(dataset, options)
        table = loaded.manifest.table
        if column not in table.columns:
            raise UnknownNameError("column", column, table.columns, of=f"dataset {loaded.name!r}")
        texts = table[column].astype("string").fillna("").str.strip()
        values = [str(text) or UNKNOWN for text in texts]
        if len(set(values)) > MOST:
            raise DataError(
                f"column {column!r} of {loaded.name} has {len(set(values))} values; expected at "
                f"most {MOST} subgroups, so choose a coarser column."
            )
        return cls(loaded.name, column, dict(zip(table["slide_id"], values, strict=True)))

    def among(self, rows: Iterable[BoardRow]) -> list[str]:
        """Subgroups that rows have tested, in order; ``not stated`` (or not in the table) last."""
        tested = {s for row in rows for p in row.predictions.values() for s in p.slide_ids.tolist()}
        found = {self.of.get(slide, UNKNOWN) for slide in tested}
        return sorted(found, key=lambda name: (name == UNKNOWN, name))

    def part(self, row: BoardRow, name: str) -> dict[Cell, Predictions]:
        """Test predictions of a row for the slides of one subgroup; cells without any are out."""
        found = {cell: self._cut(p, name) for cell, p in row.predictions.items()}
        return {cell: p for cell, p in found.items() if len(p)}

    def _cut(self, p: Predictions, name: str) -> Predictions:
        rows = [i for i, slide in enumerate(p.slide_ids) if self.of.get(slide, UNKNOWN) == name]
        heads = {level: probs[rows] for level, probs in p.heads.items()}
        return Predictions(p.taxonomy, p.slide_ids[rows], p.groups[rows], p.labels[rows], heads)
