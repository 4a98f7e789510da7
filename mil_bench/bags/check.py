"""What ``mil-bench data check`` reports, with or without features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mil_bench.bags.cohort import Cohort, LabelledAdapter, Labels, assemble
from mil_bench.bags.splits.make import make_split
from mil_bench.bags.splits.split import Split
from mil_bench.bags.store import BagStore
from mil_bench.dataset import Dataset, DatasetOptions
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
    adapter, options = adapter_of(name_or_toml), with_data_root(options)
    problems: list[str] = []
    dataset: Dataset | None = None
    if isinstance(adapter, LabelledAdapter):
        cohort = adapter.cohort(options)
        try:
            dataset = assemble(cohort, adapter.open(cohort, options))
        except FeatureError as error:
            problems.append(str(error))
    else:
        dataset = adapter.load(options)
        cohort = _cohort_of(dataset)
    chosen = _split(cohort, dataset, split, problems)
    findings = dataset.findings if dataset else cohort.labels.findings
    manifest = cohort.labels.manifest
    return DataReport(
        name=cohort.card.name,
        title=cohort.card.title,
        kind=cohort.kind,
        tree=cohort.taxonomy.name,
        slides=len(manifest),
        patients=len(set(manifest.table["patient_id"]) - {""}),
        groups=manifest.table["group_id"].nunique(),
        missing=dataset.missing if dataset else (),
        features=facts_of(dataset.store) if dataset else None,
        classes=class_table(manifest.table, cohort.taxonomy, chosen),
        split=chosen.name if chosen else "",
        findings=(*findings, *(chosen.notes if chosen else ())),
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


def _cohort_of(dataset: Dataset) -> Cohort:
    labels = Labels(dataset.manifest, dataset.official, dataset.findings, dataset.not_for_training)
    return Cohort(dataset.card, dataset.kind, dataset.taxonomy, labels, Path())


def _split(
    cohort: Cohort, dataset: Dataset | None, asked: str | None, problems: list[str]
) -> Split | None:
    """The split to count by; without features only an official one can be shown."""
    if dataset is None:
        return cohort.labels.official
    try:
        split = make_split(asked or cohort.card.default_split, dataset)
        split.check(dataset.manifest.groups())
    except SplitError as error:
        problems.append(str(error))
        return None
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
