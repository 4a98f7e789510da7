"""What ``mil-bench data check`` reports, with or without features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mil_bench.bags.labels.cohort import NO_FEATURES, LabelledAdapter, assemble
from mil_bench.bags.manifest import Manifest
from mil_bench.bags.splits.make import make_split
from mil_bench.bags.splits.split import Split
from mil_bench.bags.store import BagStore
from mil_bench.dataset import Dataset, DatasetAdapter, DatasetOptions
from mil_bench.errors import FeatureError, SplitError
from mil_bench.loading import adapter_of, with_data_root
from mil_bench.taxonomy import LEAF, Taxonomy

SHOWN_IDS = 20


@dataclass(frozen=True)
class FeatureFacts:
    """Facts about packed features; sizes are instances per bag."""

    encoder: str
    dim: int
    dtype: str
    coords: bool
    smallest: int
    median: float
    largest: int
    total: int


@dataclass(frozen=True)
class DataReport:
    """The state of a dataset on disk.

    ``classes`` has a row per class, leaf level last, and the columns ``level``, ``class``,
    ``slides``, ``patients``, then a column per set of the split's first fold. ``problems`` are
    what stops a run (no features, a leaking split), ``findings`` what a reader of results should
    know.
    """

    name: str
    title: str
    kind: str
    tree: str
    slides: int
    patients: int
    groups: int
    missing: tuple[str, ...]
    features: FeatureFacts | None
    classes: pd.DataFrame
    split: str
    findings: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether a run can start without ``--allow-...``."""
        return not self.problems and not self.missing


def check_dataset(
    name_or_toml: str, options: DatasetOptions, split: str | None = None
) -> DataReport:
    """Look at labels, features and a split (default: the dataset's own choice).

    Missing features and leaking splits are reported; a label file that cannot be used raises
    ``DataError`` as in a run.
    """
    problems: list[str] = []
    manifest, dataset = _open(adapter_of(name_or_toml), with_data_root(options), problems)
    chosen = _split(dataset, split, problems)
    return DataReport(
        name=dataset.name,
        title=dataset.card.title,
        kind=dataset.kind,
        tree=dataset.taxonomy.name,
        slides=len(manifest),
        patients=len(set(manifest.table["patient_id"]) - {""}),
        groups=manifest.table["group_id"].nunique(),
        missing=dataset.missing,
        features=facts_of(dataset.store) if dataset.store.rows else None,
        classes=class_table(manifest.table, dataset.taxonomy, chosen),
        split=chosen.name if chosen else "",
        findings=tuple(dict.fromkeys((*dataset.findings, *(chosen.notes if chosen else ())))),
        problems=tuple(problems),
    )


def facts_of(store: BagStore) -> FeatureFacts:
    """Sizes, dimension and type of packed features."""
    sizes = np.array([length for _, length in store.rows.values()])
    return FeatureFacts(
        encoder=store.encoder,
        dim=store.dim,
        dtype=str(store.features.dtype),
        coords=store.coords is not None,
        smallest=int(sizes.min()),
        median=float(np.median(sizes)),
        largest=int(sizes.max()),
        total=int(sizes.sum()),
    )


def class_table(slides: pd.DataFrame, taxonomy: Taxonomy, split: Split | None) -> pd.DataFrame:
    """Slides and patients of every class at every level, and slides per set of fold 0."""
    index = slides["label"].map(taxonomy.index).to_numpy()
    sets = {name: slides["slide_id"].isin(ids) for name, ids in split[0].sets()} if split else {}
    rows: list[Mapping[str, object]] = []
    for level in taxonomy.levels:
        of_level = taxonomy.ancestor_index(level)[index]
        for k, name in enumerate(taxonomy.classes[level]):
            mine = of_level == k
            patients = slides.loc[mine, "patient_id"]
            counts = {"slides": int(mine.sum()), "patients": patients[patients != ""].nunique()}
            counts |= {s: int((mine & members).sum()) for s, members in sets.items()}
            rows.append({"level": level, "class": name, **counts})
    return pd.DataFrame(rows)


def render(report: DataReport, console: Console) -> None:
    """Print the report for people."""
    console.print(
        f"[bold]{escape(report.name)}[/]  {escape(report.title)}  ({report.kind} data, "
        f"tree {escape(report.tree)})"
    )
    patients = f"{report.patients} patients" if report.patients else "patients unknown"
    console.print(f"{report.slides} labelled slides, {patients}, {report.groups} groups")
    _render_features(report, console)
    console.print(_rendered(report))
    for finding in report.findings:
        console.print(f"[yellow]finding:[/] {escape(finding)}")
    for problem in report.problems:
        console.print(f"[red]problem:[/] {escape(problem)}")
    console.print("[green]ready to run[/]" if report.ok else "[red]not ready to run as it is[/]")


def _open(
    adapter: DatasetAdapter, options: DatasetOptions, problems: list[str]
) -> tuple[Manifest, Dataset]:
    """All labelled slides, and the dataset of those with features (of all when none has any)."""
    if not isinstance(adapter, LabelledAdapter):
        dataset = adapter.load(options)
        return dataset.manifest, dataset
    cohort = adapter.cohort(options)
    try:
        features = adapter.open(cohort, options)
    except FeatureError as error:
        problems.append(str(error))
        features = NO_FEATURES
    return cohort.labels.manifest, assemble(cohort, features)


def _split(dataset: Dataset, asked: str | None, problems: list[str]) -> Split | None:
    """The split to count by. A leak is a problem; it does not hide the counts."""
    try:
        split = make_split(asked or dataset.card.default_split, dataset)
    except SplitError as error:
        problems.append(str(error))
        return None
    try:
        split.check(dataset.manifest.groups())
    except SplitError as error:
        problems.append(str(error))
    return split


def _render_features(report: DataReport, console: Console) -> None:
    facts = report.features
    if facts is None:
        console.print("no features: only the labels were checked")
        return
    console.print(
        f"features: encoder {escape(facts.encoder)}, D = {facts.dim}, {facts.dtype}, "
        f"{'with' if facts.coords else 'without'} coordinates; bags of {facts.smallest} to "
        f"{facts.largest} instances (median {facts.median:g}), {facts.total} in all"
    )
    if report.missing:
        more = f" and {len(report.missing) - SHOWN_IDS} more" * (len(report.missing) > SHOWN_IDS)
        shown = ", ".join(report.missing[:SHOWN_IDS])
        console.print(
            f"[red]missing:[/] {len(report.missing)} slides have no features: {escape(shown)}{more}"
        )


def _rendered(report: DataReport) -> Table:
    title = f"classes by set (split {report.split}, fold 0)" if report.split else "classes"
    classes = report.classes if report.patients else report.classes.drop(columns="patients")
    table = Table(title=title)
    for name in classes.columns:
        text = name in ("level", "class")
        table.add_column(name, justify="left" if text else "right")
    for level, rows in classes.groupby("level", sort=False):
        for row in rows.itertuples(index=False):
            table.add_row(*map(escape, map(str, row)))
        if level != LEAF:
            table.add_section()
    return table
