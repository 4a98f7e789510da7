"""Scores of one predictions file, made anywhere, by the code that makes the boards."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from mil_bench.bags.labels.cohort import FolderAdapter, LabelledAdapter, choose_tree
from mil_bench.base.errors import UsageError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.boards.formats.grid import grid_of
from mil_bench.boards.formats.terminal import grid_tables
from mil_bench.boards.tables.columns import class_column, columns
from mil_bench.boards.tables.table import Cell, Column, Number, Row, Table
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.contract.manifest import Manifest
from mil_bench.datasets.load import adapter_of, with_data_root
from mil_bench.evaluation.external import External, read_external
from mil_bench.evaluation.metrics import CLASS_METRICS, COUNTS, Score
from mil_bench.evaluation.scores import Scores

_COLUMNS = (*columns("score"), Column("value", "Value", "row"), Column("meaning", "Meaning"))


def score_file(
    predictions: Path,
    dataset: str | None,
    tree: str | None,
    data_root: Path | None,
    console: Console,
) -> dict[str, Scores]:
    """Score every set of ``predictions``, print the tables and return the scores by set.

    The tree is that of ``dataset`` (``tree`` chooses among its trees) or the file ``tree``. Labels
    and patients come from the dataset when its label file can be read.
    """
    taxonomy, external = read_scored(predictions, dataset, tree, data_root)
    by_set = {name: Scores.of(p) for name, p in external.sets.items()}
    for name, scores in by_set.items():
        console.rule(Text(f"{predictions.name}: {name} set, tree {taxonomy.name}"))
        sample = f"{len(scores.slides)} slides of {len(scores.groups)} patients or groups"
        console.print(Text(sample, style="dim"))
        for table in score_tables(scores):
            for part in grid_tables(grid_of(table), console.width):
                console.print(part)
    for note in external.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    return by_set


def score_predictions(
    predictions: Path, dataset: str | None, tree: str | None, data_root: Path | None
) -> tuple[dict[str, list[Table]], tuple[str, ...]]:
    """Return the tables of every set of ``predictions``, and notes on how the file was read."""
    _, external = read_scored(predictions, dataset, tree, data_root)
    return {n: score_tables(Scores.of(p)) for n, p in external.sets.items()}, external.notes


def read_scored(
    predictions: Path, dataset: str | None, tree: str | None, data_root: Path | None
) -> tuple[Taxonomy, External]:
    """Read ``predictions`` under the tree of ``dataset`` or the file ``tree``."""
    taxonomy, manifest = _reference(dataset, tree, data_root)
    labels = manifest.labels() if manifest else None
    groups = manifest.clusters() if manifest else None
    return taxonomy, read_external(predictions, taxonomy, labels, groups)


def score_tables(scores: Scores) -> list[Table]:
    """Return overall, hierarchical (unless flat) and class-wise tables of one set."""
    of_all = [score for score in scores.values if not score.name and score.on_boards]
    leaf = [score for score in of_all if score.is_leaf]
    tree = [score for score in of_all if score.level != LEAF]
    named = {"overall": leaf, "hierarchy": tree}
    lists = [_list(title, scores, chosen) for title, chosen in named.items() if chosen]
    places = dict.fromkeys((s.level, s.source) for s in scores.values if s.name)
    return [*lists, *(_classes(scores, *place) for place in _from_top(scores, places))]


def _from_top(scores: Scores, places: dict[tuple[str, str], None]) -> list[tuple[str, str]]:
    """Levels and sources from the top of the tree, summed before direct."""
    levels = list(dict.fromkeys(level for level, _ in scores.support))
    return sorted(places, key=lambda place: (levels.index(place[0]), place[1] == "direct"))


def _list(title: str, scores: Scores, chosen: list[Score]) -> Table:
    rows = tuple(
        Row(
            "",
            {
                "score": str(score),
                "value": Number(scores.values[score]),
                "meaning": score.facts.note,
            },
            score,
        )
        for score in chosen
    )
    return Table(title, title, _COLUMNS, rows, ("score",), ("value", "meaning"))


def _classes(scores: Scores, level: str, source: str) -> Table:
    """A row per class of one level and source."""
    title = f"classes: {level}" if level == LEAF else f"classes: {level}, {source}"
    names = [name for at, name in scores.support if at == level]
    rows = []
    for name in names:
        counts = dict(zip(COUNTS, map(Number, scores.support[level, name]), strict=True))
        rates = {m: Number(scores.values[Score(m, level, source, name)]) for m in CLASS_METRICS}
        cells: dict[str, Cell] = {"class": name, **counts, **rates}
        rows.append(Row("", cells))
    metrics = (*COUNTS, *CLASS_METRICS)
    every = (*columns("class"), *map(class_column, metrics))
    return Table(f"classes-{level}-{source}", title, every, tuple(rows), ("class",), metrics)


def _reference(
    dataset: str | None, tree: str | None, data_root: Path | None
) -> tuple[Taxonomy, Manifest | None]:
    if dataset is None:
        if tree is None:
            raise UsageError(
                "score requires --dataset NAME or --tree FILE, which define the classes."
            )
        return Taxonomy.load(Path(tree)), None
    adapter = adapter_of(dataset)
    options = with_data_root(DatasetOptions(data_root=data_root, tree=tree))
    if isinstance(adapter, FolderAdapter) and options.data_root is None:
        return choose_tree(adapter.card, tree), None
    if isinstance(adapter, LabelledAdapter):
        cohort = adapter.cohort(options)
        return cohort.taxonomy, cohort.labels.manifest
    data = adapter.load(options)
    return data.taxonomy, data.manifest
