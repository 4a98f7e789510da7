"""``mil-bench check dataset``: from the name of a dataset to a report."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mil_bench.bags.labels.cohort import NO_FEATURES, LabelledAdapter, assemble
from mil_bench.base.errors import FeatureError
from mil_bench.base.finding import Finding, render, render_verdict
from mil_bench.base.taxonomy import LEAF
from mil_bench.checks.dataset import verdicts
from mil_bench.checks.dataset.verdicts import FeatureFacts, class_table, facts_of
from mil_bench.contract.dataset import Dataset, DatasetAdapter, DatasetOptions, loaded, one_sentence
from mil_bench.contract.manifest import Manifest
from mil_bench.datasets.load import adapter_of, with_data_root
from mil_bench.runs.plan import check_overrides


@dataclass(frozen=True)
class DataReport:
    """The state of a dataset on disk.

    ``classes`` has a row per class, leaf level last, with the columns ``level``, ``class``,
    ``slides``, ``patients``, ``groups``. A column per set of the split's first fold follows.
    ``findings`` are the results of the checks: problems stop a run (no features, a leaking split),
    notes matter to a reader of results. ``features`` is ``None`` when no slide has any.
    """

    name: str
    title: str
    kind: str
    tree: str
    split: str
    classes: pd.DataFrame
    features: FeatureFacts | None
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what stops a run."""
        return tuple(f.fact for f in self.findings if f.state == "problem")


def check_dataset(
    name_or_toml: str, options: DatasetOptions, split: str | None = None
) -> DataReport:
    """Check ids, labels, patients, features and a split (default: the dataset's).

    Missing features and leaking splits are reported; a label file that cannot be used raises
    ``DataError`` as in a run.
    """
    manifest, dataset, refusal = _open(adapter_of(name_or_toml), with_data_root(options))
    check_overrides(dataset.card)
    features = facts_of(dataset.store) if dataset.store.rows else None
    chosen, on_split = verdicts.on_split(dataset, split)
    classes = class_table(manifest.table, dataset.taxonomy, chosen)
    sentences = dict.fromkeys((*dataset.findings, *(map(str, chosen.notes) if chosen else ())))
    return DataReport(
        name=dataset.name,
        title=dataset.card.title,
        kind=dataset.kind,
        tree=dataset.taxonomy.name,
        split=chosen.name if chosen else "",
        classes=classes,
        features=features,
        findings=(
            verdicts.on_ids(manifest),
            *verdicts.on_labels(dataset.taxonomy, classes),
            verdicts.on_patients(manifest),
            *verdicts.on_features(dataset, features, refusal),
            *on_split,
            *(Finding("finding", sentence, "note") for sentence in sentences),
        ),
    )


def _open(adapter: DatasetAdapter, options: DatasetOptions) -> tuple[Manifest, Dataset, str | None]:
    """Return all labelled slides, the dataset, and why no features could be opened.

    The dataset has the slides with features, or all slides if none has any.
    """
    if not isinstance(adapter, LabelledAdapter):
        dataset = loaded(adapter, options)
        return dataset.manifest, dataset, None
    with one_sentence(adapter):
        cohort = adapter.cohort(options)
    try:
        features, refusal = adapter.open(cohort, options), None
    except FeatureError as error:
        features, refusal = NO_FEATURES, str(error)
    return cohort.labels.manifest, assemble(cohort, features), refusal


def show(report: DataReport, console: Console) -> None:
    """Print the classes, a line per finding, and whether a run can start."""
    console.print(
        f"[bold]{escape(report.name)}[/]  {escape(report.title)}  ({report.kind} data, "
        f"tree {escape(report.tree)})"
    )
    console.print(_classes(report))
    render(report.findings, console)
    render_verdict(len(report.problems), console)


def _classes(report: DataReport) -> Table:
    title = f"classes by set (split {report.split}, fold 0)" if report.split else "classes"
    patients = report.classes["patients"].any()
    classes = report.classes.drop(columns=["groups"] if patients else ["groups", "patients"])
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
