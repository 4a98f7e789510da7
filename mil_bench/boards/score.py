"""Scores of one predictions file, made anywhere, by the code that makes the boards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mil_bench.bags.labels.cohort import FolderAdapter, LabelledAdapter, choose_tree
from mil_bench.base.errors import UsageError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.boards.formats.terminal import sheet_table
from mil_bench.boards.sheet import Sheet, shown
from mil_bench.boards.tables.scores import CLASS_METRICS, COUNTS
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.contract.manifest import Manifest
from mil_bench.datasets.load import adapter_of, with_data_root
from mil_bench.evaluation.classwise import ClassScores
from mil_bench.evaluation.external import read_external
from mil_bench.evaluation.metrics import facts, in_order
from mil_bench.evaluation.scores import Scores


def score_file(
    predictions: Path,
    dataset: str | None,
    tree: str | None,
    data_root: Path | None,
    console: Console,
) -> dict[str, Scores]:
    """Score every set of ``predictions``, print the tables and return the scores by set.

    The tree is that of ``dataset`` (``tree`` chooses among its trees) or the file ``tree``. Labels
    and patients come from the dataset when its label file can be found.
    """
    taxonomy, manifest = _reference(dataset, tree, data_root)
    labels = manifest.labels() if manifest else None
    groups = manifest.clusters() if manifest else None
    external = read_external(predictions, taxonomy, labels, groups)
    scores = {name: Scores.of(p) for name, p in external.sets.items()}
    for name, found in scores.items():
        console.rule(Text(f"{predictions.name}: {name} set, tree {taxonomy.name}"))
        told = f"{len(found.slides)} slides of {len(found.groups)} patients or groups"
        console.print(Text(told), style="dim")
        for sheet in score_sheets(found):
            console.print(sheet_table(sheet))
    for note in external.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    return scores


def score_sheets(scores: Scores) -> list[Sheet]:
    """Overall, hierarchical (unless flat) and class-wise tables; fractions times 100."""
    tree = {n: v for n, v in scores.hierarchical.items() if not n.startswith(f"{LEAF}_")}
    named = {"overall": scores.overall, "hierarchy": tree}
    found = [_list(title, values) for title, values in named.items() if values]
    levels = dict.fromkeys((c.level, c.source) for c in scores.classes)
    return [*found, *(_classes(scores, *level) for level in levels)]


def _list(title: str, values: Mapping[str, float]) -> Sheet:
    ordered = in_order(values) if title == "overall" else list(values)
    rows = tuple((facts(n).title, shown(values[n], n), facts(n).note) for n in ordered)
    return Sheet(title, ("score", "value", "meaning"), rows)


def _classes(scores: Scores, level: str, source: str) -> Sheet:
    title = f"classes: {level}" if level == LEAF else f"classes: {level}, {source}"
    columns = tuple(facts(name).title for name in (*COUNTS, *CLASS_METRICS))
    chosen = [c for c in scores.classes if (c.level, c.source) == (level, source)]
    return Sheet(title, ("class", *columns), tuple(map(_class_line, chosen)))


def _class_line(c: ClassScores) -> tuple[str, ...]:
    values = c.metrics()
    counts = (str(c.support), str(c.patients))
    return (c.name, *counts, *(shown(values[m], m) for m in CLASS_METRICS))


def _reference(
    dataset: str | None, tree: str | None, data_root: Path | None
) -> tuple[Taxonomy, Manifest | None]:
    if dataset is None:
        if tree is None:
            raise UsageError("score needs --dataset NAME or --tree FILE to know the classes.")
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
