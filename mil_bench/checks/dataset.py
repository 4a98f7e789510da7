"""``mil-bench check dataset``: ids, labels, patients, features, split and leaks of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mil_bench.bags.labels.cohort import NO_FEATURES, LabelledAdapter, assemble
from mil_bench.bags.splits.make import make_split
from mil_bench.base.errors import FeatureError, SplitError, counted
from mil_bench.base.finding import Finding, render, render_verdict
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetAdapter, DatasetOptions, loaded, one_sentence
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Split
from mil_bench.contract.store import BagStore
from mil_bench.datasets.load import adapter_of, with_data_root
from mil_bench.runs.plan import check_overrides


@dataclass(frozen=True)
class DataReport:
    """The state of a dataset on disk.

    ``classes`` has a row per class, leaf level last, and the columns ``level``, ``class``,
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
    chosen, of_split = on_split(dataset, split)
    classes = class_table(manifest.table, dataset.taxonomy, chosen)
    # A split repeats findings of its dataset.
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
            on_ids(manifest),
            *on_labels(dataset.taxonomy, classes),
            on_patients(manifest),
            *on_features(dataset, features, refusal),
            *of_split,
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
    # Labels are checked although features are missing: both are reported at once.
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
    patients = report.classes["patients"].any()  # no column of zeros
    # Without patients, groups are the patients.
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


SHOWN_IDS = 20
SETS = 3  # train, val and test


def on_ids(manifest: Manifest) -> Finding:
    """Report the number of slides; unusable ids were refused when the manifest was read."""
    return Finding("ids", f"{len(manifest)} labelled slides, each listed once")


def on_labels(tree: Taxonomy, classes: pd.DataFrame) -> Iterator[Finding]:
    """Report the tree, then classes that are absent or too rare to assess."""
    sizes = ", ".join(f"{len(tree.classes[level])} {level}" for level in tree.levels)
    yield Finding("labels", f"every label is a leaf of the tree {tree.name} ({sizes})")
    leaves = classes[classes["level"] == LEAF]
    absent = leaves[leaves["slides"] == 0]["class"]
    if len(absent):
        yield Finding(
            "labels",
            f"{counted(len(absent), 'class', 'classes')} without a slide: {_some(absent)}",
            "note",
            "scores of these classes are undefined; use a tree without them",
        )
    rare = leaves[(leaves["slides"] > 0) & (leaves["groups"] < SETS)]["class"]
    if len(rare):
        yield Finding(
            "labels",
            f"{counted(len(rare), 'class', 'classes')} with fewer than {SETS} patients (groups): "
            f"{_some(rare)}",
            "note",
            "they cannot be in train, val and test of a fold; merge them, or ignore their scores",
        )


def on_patients(manifest: Manifest) -> Finding:
    """Report patients and groups; unknown patients are a note."""
    table = manifest.table
    patients, groups = table[table["patient_id"] != ""], table["group_id"].nunique()
    if manifest.has_patients:
        return Finding("patients", f"{patients['patient_id'].nunique()} patients, {groups} groups")
    return Finding(
        "patients",
        f"unknown for {len(table) - len(patients)} of {len(table)} slides, {groups} groups",
        "note",
        "add a column patient_id: splits keep a patient in one set, and CIs resample patients",
    )


def on_features(
    dataset: Dataset, facts: FeatureFacts | None, refusal: str | None
) -> Iterator[Finding]:
    """Report the packed features, and slides without any."""
    if facts is None:
        fact = refusal or "no slide has features"
        advice = "only the labels were checked; pass --features"
        yield Finding("features", fact, "problem", advice)
        return
    yield Finding("features", str(facts))
    if dataset.missing:
        yield Finding(
            "features",
            f"{counted(len(dataset.missing), 'slide')} without features: {_some(dataset.missing)}",
            "problem",
            "extract them, or skip them by --allow-missing (boards show how many are missing)",
        )


def on_split(dataset: Dataset, name: str | None) -> tuple[Split | None, list[Finding]]:
    """Return the split (default: the dataset's), with its folds, sizes and leaks."""
    try:
        split = make_split(name or dataset.card.default_split, dataset)
    except SplitError as error:
        return None, [Finding("split", str(error), "problem", "choose another by --split")]
    sizes = ", ".join(f"{len(ids)} {part}" for part, ids in split[0].sets())
    folds = counted(len(split), "fold")
    fact = f"{split.name} ({split.mode}): {folds}; fold 0 has {sizes} slides"
    findings = [Finding("split", fact)]
    try:
        split.check(dataset.manifest.groups())
        findings.append(Finding("leaks", "no patient or group is in two sets of a fold"))
    except SplitError as error:
        advice = "a grouped split such as kfold-5 has no leaks"
        findings.append(Finding("leaks", str(error), "problem", advice))
    return split, findings


def _some(ids: pd.Series | tuple[str, ...]) -> str:
    more = f" and {len(ids) - SHOWN_IDS} more" * (len(ids) > SHOWN_IDS)
    # Commas inside names would read as more names.
    comma = "; " if any("," in name for name in ids) else ", "
    return f"{comma.join(ids[:SHOWN_IDS])}{more}"


@dataclass(frozen=True)
class FeatureFacts:
    """Facts about packed features; sizes are patches per bag."""

    encoder: str
    dim: int
    dtype: str
    coords: bool
    smallest: int
    median: float
    largest: int
    total: int

    def __str__(self) -> str:
        """Return one line for people."""
        features = f"encoder {self.encoder}, D = {self.dim}, {self.dtype}"
        if self.largest == 1:
            return f"{features}; one vector per slide (bags of one), {self.total} in total"
        return (
            f"{features}, {'with' if self.coords else 'without'} coordinates; bags of "
            f"{self.smallest} to {self.largest} patches (median {self.median:g}), {self.total} in "
            "total"
        )


def facts_of(store: BagStore) -> FeatureFacts:
    """Return sizes, dimension and type of packed features."""
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
    """Return slides, patients and groups of every class, and slides per set of fold 0."""
    index = slides["label"].map(taxonomy.index).to_numpy()
    sets = {name: slides["slide_id"].isin(ids) for name, ids in split[0].sets()} if split else {}
    rows: list[Mapping[str, object]] = []
    for level in taxonomy.levels:
        of_level = taxonomy.ancestor_index(level)[index]
        for k, name in enumerate(taxonomy.classes[level]):
            members = of_level == k
            patients = slides.loc[members, "patient_id"]
            counts = {
                "slides": int(members.sum()),
                "patients": patients[patients != ""].nunique(),
                "groups": slides.loc[members, "group_id"].nunique(),
            }
            counts |= {s: int((members & inside).sum()) for s, inside in sets.items()}
            rows.append({"level": level, "class": name, **counts})
    return pd.DataFrame(rows)
