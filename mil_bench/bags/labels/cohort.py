"""From a label file to a :class:`Dataset`: the steps that all adapters share.

An adapter only reads its label file into :class:`Labels`. Choosing the tree, checking labels,
dropping leaky patients, opening features and tagging simulated cohorts happens here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mil_bench.bags.cache.pack import open_store
from mil_bench.bags.formats.names import match_ids
from mil_bench.bags.labels.instances import read_instances
from mil_bench.bags.labels.official import keep_slides, leaky_groups
from mil_bench.bags.labels.single_file import Bags, read_single_file
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import DataError, FeatureError, LabelFileNotFoundError, counted
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetAdapter, DatasetCard, DatasetOptions
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.spec import DataKind
from mil_bench.contract.split import Split
from mil_bench.contract.store import BagStore, Tiling

SIMULATED = "SIMULATED.json"  # marks the root of a simulated cohort


@dataclass(frozen=True)
class Labels:
    """What an adapter reads from label files; see :class:`Dataset` for the fields."""

    manifest: Manifest
    official: Split | None = None
    findings: tuple[str, ...] = ()
    not_for_training: frozenset[str] = frozenset()
    dropped: tuple[str, ...] = ()

    def keep(self, slides: frozenset[str], *findings: str) -> Labels:
        """Return the labels of only the given slides, with further findings."""
        official = keep_slides(self.official, slides) if self.official else None
        noisy = self.not_for_training & slides
        sentences = (*self.findings, *findings)
        return Labels(self.manifest.keep(set(slides)), official, sentences, noisy, self.dropped)


@dataclass(frozen=True)
class LabelledCohort:
    """A dataset before its features are opened. ``features`` is where to look for them."""

    card: DatasetCard
    kind: DataKind
    taxonomy: Taxonomy
    labels: Labels
    features: Path


@dataclass(frozen=True)
class OpenFeatures:
    """Opened features of a cohort: the store, slides without features, known patch labels."""

    store: BagStore
    missing: tuple[str, ...] = ()
    instance_labels: Mapping[str, tuple[str, ...]] | None = None


NO_FEATURES = OpenFeatures(BagStore("none", np.empty((0, 0), np.float32), None, {}, ""))


class LabelledAdapter(DatasetAdapter):
    """An adapter whose labels can be read without its features."""

    @abstractmethod
    def read(self, options: DatasetOptions) -> LabelledCohort:
        """Return labels, tree and place of the features. Raises ``DataError``."""

    def open(self, cohort: LabelledCohort, options: DatasetOptions) -> OpenFeatures:
        """Open the features of all slides, from a folder or from one file with all of them.

        Raises ``FeatureError`` if slides have none.
        """
        if cohort.features.is_file():
            return open_in_memory(read_single_file(cohort.features), cohort, options)
        store, missing = open_store(
            cohort.features,
            cohort.labels.manifest.slide_ids,
            encoder=options.encoder,
            allow_missing=options.allow_missing,
            cache=options.cache,
        )
        # Rows on disk include padding; these do not.
        sizes = {slide: size for slide, (_, size) in store.rows.items()}
        return OpenFeatures(store, missing, read_instances(cohort.features, sizes))

    def cohort(self, options: DatasetOptions) -> LabelledCohort:
        """Read and check the labels; leave out leaky patients if requested."""
        cohort = self.read(options)
        _check_labels(cohort)
        if options.drop_leaky_patients:
            cohort = replace(cohort, labels=drop_leaky(cohort.labels))
        return cohort

    def load(self, options: DatasetOptions) -> Dataset:
        """Return the dataset: labels and features together."""
        cohort = self.cohort(options)
        return assemble(cohort, self.open(cohort, options))


class FolderAdapter(LabelledAdapter):
    """A built-in dataset whose files lie under ``--data-root``, directly or in ``<name>/``."""

    @abstractmethod
    def read_folder(self, root: Path) -> Labels | None:
        """Return the labels in ``root``, or ``None`` without a label file of this dataset."""

    def read(self, options: DatasetOptions) -> LabelledCohort:
        """Try every place of the data root; the tree comes from the card or a file."""
        card = self.card
        if options.data_root is None:
            raise DataError(f"dataset {card.name} requires its files; {_where(card)}")
        if not options.data_root.is_dir():
            raise DataError(f"--data-root {options.data_root} is not a folder; {_where(card)}")
        for root in _roots(card.name, options.data_root):  # the first place with labels
            labels = self.read_folder(root)
            if labels is not None:
                features = options.features or root
                kind = kind_of(card.kind, root, features)
                return LabelledCohort(card, kind, choose_tree(card, options.tree), labels, features)
        raise LabelFileNotFoundError(
            f"no label file of {card.name} in {options.data_root} or its sub-folder "
            f"{card.name}/; {_where(card)}"
        )


def open_in_memory(
    bags: Bags,
    cohort: LabelledCohort,
    options: DatasetOptions,
    tiling: Tiling | None = None,
) -> OpenFeatures:
    """Open bags that one file holds.

    Raises ``FeatureError`` where slides are missing, unless that is allowed.
    """
    slides = cohort.labels.manifest.slide_ids
    names = match_ids(slides, bags.features)
    present = {slide: names[slide] for slide in slides if slide in names}
    missing = tuple(slide for slide in slides if slide not in names)
    if missing and not (options.allow_missing and present):  # all missing: nothing is left to allow
        raise FeatureError(
            f"{len(missing)} of {len(slides)} labelled slides are not in {cohort.features} (first: "
            f"{', '.join(missing[:5])}); add them, or use --allow-missing."
        )
    store = store_of_arrays(
        options.encoder or "features",
        _only(present, bags.features),
        _only(present, bags.coords) if bags.coords else None,
        tiling,
    )
    return OpenFeatures(store, missing, _only(present, bags.instance_labels) or None)


def _only(names: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {slide: values[name] for slide, name in names.items() if name in values}


def assemble(cohort: LabelledCohort, features: OpenFeatures) -> Dataset:
    """Make the dataset of the slides with features; the others are in ``missing``."""
    labels = cohort.labels
    if features.missing:
        slides = frozenset(labels.manifest.slide_ids)
        finding = f"{len(features.missing)} of {len(slides)} labelled slides have no features"
        labels = labels.keep(slides - frozenset(features.missing), finding)
    return Dataset(
        card=cohort.card,
        kind=cohort.kind,
        manifest=labels.manifest,
        taxonomy=cohort.taxonomy,
        store=features.store,
        official=labels.official,
        findings=labels.findings,
        missing=features.missing,
        dropped=labels.dropped,
        not_for_training=labels.not_for_training,
        instance_labels=features.instance_labels,
    )


def choose_tree(card: DatasetCard, tree: str | None) -> Taxonomy:
    """Return a tree of the card by name, or read a ``.toml``/``.json`` file with its leaves."""
    # A name of the card, or a wrong name, which the card refuses.
    if tree is None or tree in card.trees or not tree.endswith((".toml", ".json")):
        return card.tree(tree)
    default, custom = card.tree(None), Taxonomy.load(Path(tree))
    # A tree over other leaves would need other labels.
    if set(default.leaves) != set(custom.leaves):
        lacks = [leaf for leaf in default.leaves if leaf not in custom.leaves]
        adds = [leaf for leaf in custom.leaves if leaf not in default.leaves]
        raise DataError(
            f"tree file {tree} does not have the leaves of dataset {card.name}: {lacks} are "
            f"missing and {adds} are unknown; expected exactly {list(default.leaves)}."
        )
    return replace(custom, titles={**default.titles, **custom.titles})  # the user's titles win


def drop_leaky(labels: Labels) -> Labels:
    """Leave out every patient (group) that is in two official sets."""
    groups = labels.manifest.groups()
    leaky = leaky_groups(labels.official, groups) if labels.official else {}
    if not leaky:
        return labels
    # By group: without patient ids every slide is one.
    clean = frozenset(slide for slide, group in groups.items() if group not in leaky)
    dropped = tuple(slide for slide in groups if slide not in clean)
    finding = (
        f"left out {counted(len(dropped), 'slide')} of the leaky patients "
        f"{', '.join(sorted(leaky))}"
    )
    return replace(labels.keep(clean, finding), dropped=dropped)


def kind_of(kind: DataKind, *places: Path) -> DataKind:
    """Return ``simulated`` when a place is in a folder with that mark, else ``kind``."""
    for place in places:
        path = place.resolve()  # resolved: a link to a simulated cohort is one
        if any((folder / SIMULATED).is_file() for folder in (path, *path.parents)):
            return "simulated"
    return kind


def _check_labels(cohort: LabelledCohort) -> None:
    table = cohort.labels.manifest.table
    if table.empty:
        raise DataError(
            f"the label file of {cohort.card.name} lists no slide; expected one row per slide."
        )
    blank = table["slide_id"][table["label"] == ""].tolist()
    if blank:
        raise DataError(
            f"{cohort.card.name} has {counted(len(blank), 'slide')} without a label "
            f"(first: {blank[:5]}); "
            "fill the label column or remove the rows."
        )
    cohort.labels.manifest.check_labels(cohort.taxonomy)


def _roots(name: str, data_root: Path) -> Iterator[Path]:
    """Sub-folders called like the dataset (in any case) first, then the folder itself."""
    yield from sorted(p for p in data_root.iterdir() if p.name.lower() == name and p.is_dir())
    yield data_root


def _where(card: DatasetCard) -> str:
    return (
        f"pass --data-root DIR (or set MIL_BENCH_DATA) with {card.files}, in DIR or "
        f"DIR/{card.name}. The source is {card.source}."
    )
