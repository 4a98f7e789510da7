"""Labels and patients in stored predictions, compared with the dataset where it is at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mil_bench.base.errors import MilBenchError, counted
from mil_bench.boards.collect import RunRecord
from mil_bench.boards.left_out_labels import missing_slides, with_manifest
from mil_bench.contract.dataset import Dataset, DatasetCard, DatasetOptions
from mil_bench.contract.manifest import Manifest
from mil_bench.datasets import DATASETS
from mil_bench.datasets.load import at_level, load_labels, with_data_root
from mil_bench.evaluation.predictions import Predictions


def with_known_labels(
    records: Sequence[RunRecord], dataset: str | None = None, data_root: Path | None = None
) -> list[RunRecord]:
    """Return the records of complete runs with ``labels`` ``verified`` or ``not verified``.

    The manifest whose digest is that of the run says the label and the patient of every slide.
    Where predictions say otherwise, the status becomes ``changed``. Embedded data are always at
    hand; others with ``dataset`` (a name or a ``.toml``), or a data root that has their labels.
    Raises a ``MilBenchError`` when the labels of ``dataset`` cannot be read.
    """
    options = with_data_root(DatasetOptions(data_root=data_root))
    names = {
        r.spec.dataset
        for r in records
        if (r.status == "done" or r.left_out_labels) and r.spec is not None
    }
    at_hand: dict[str, KnownLabels] = {}
    if dataset is not None and names:
        requested = KnownLabels.read(dataset, options)
        at_hand[requested.plain.name] = requested
    for name in sorted(names - set(at_hand)):  # sorted: a fixed order of loading
        known = _if_at_hand(name, options)
        if known is not None:
            at_hand[name] = known
    return [_judged(record, at_hand) for record in records]


def _if_at_hand(name: str, options: DatasetOptions) -> KnownLabels | None:
    """The labels of a registered dataset, ``None`` where its files or its package are not there."""
    if name not in DATASETS:
        return None
    try:
        card: DatasetCard = DATASETS.get(name).card
        if options.data_root is None and card.kind != "embedded":
            return None
        return KnownLabels.read(name, options)
    except (MilBenchError, OSError):
        return None


def _judged(record: RunRecord, at_hand: Mapping[str, KnownLabels]) -> RunRecord:
    if record.left_out_labels and record.spec is not None:
        known = at_hand.get(record.spec.dataset)
        missing = missing_slides(record)
        manifest = known.manifest(record.spec.labels_digest, missing) if known else None
        record = with_manifest(record, manifest)
    if record.status != "done" or record.spec is None:
        return record
    known = None if record.keyed_ids else at_hand.get(record.spec.dataset)
    missing = record.result.missing if record.result is not None else ()
    manifest = known.manifest(record.spec.labels_digest, missing) if known else None
    if manifest is None:
        # Other labels than the present ones: nothing can be said.
        return replace(record, labels="not verified")
    for name, predictions in record.sets.items():
        difference = _difference(predictions, manifest)
        if difference:
            reason = f"predictions.csv: the {name} set {difference}"
            return replace(record, status="changed", reason=reason, scores=None, sets={})
    return replace(record, labels="verified")


def _difference(predictions: Predictions, manifest: Manifest) -> str:
    """In what slides, labels or patients differ from the dataset, or ``""``."""
    leaves, labels, patients = predictions.taxonomy.leaves, manifest.labels(), manifest.clusters()
    slides = predictions.slide_ids.tolist()
    unknown = [slide for slide in slides if slide not in labels]
    if unknown:
        return f"has {counted(len(unknown), 'slide')} that the dataset lacks (first: {unknown[0]})"
    stored = {
        "labels": ([leaves[i] for i in predictions.labels], labels),
        "patients": (predictions.groups.tolist(), patients),
    }
    for what, (values, of_dataset) in stored.items():
        wrong = [(s, v) for s, v in zip(slides, values, strict=True) if v != of_dataset[s]]
        if wrong:
            slide, value = wrong[0]
            return (
                f"has other {what} than the dataset for {counted(len(wrong), 'slide')} "
                f"(first: {slide} is {value!r}, in the dataset {of_dataset[slide]!r})"
            )
    return ""


@dataclass
class KnownLabels:
    """The tables of slides that runs of one dataset can have been made with."""

    dataset: str
    options: DatasetOptions
    plain: Dataset  # as it is loaded without further options
    _by_digest: dict[tuple[str, tuple[str, ...]], Manifest | None] = field(default_factory=dict)

    @classmethod
    def read(cls, dataset: str, options: DatasetOptions) -> KnownLabels:
        """Read the labels of ``dataset``, a name or a ``.toml``, without its features."""
        return cls(dataset, options, load_labels(dataset, options))

    def manifest(self, digest: str, missing: tuple[str, ...]) -> Manifest | None:
        """Return the slides and labels with that digest, ``None`` where the data are others.

        ``missing`` are slides that the run left out because they have no features.
        """
        if (digest, missing) not in self._by_digest:
            # A generator: most runs have the first manifest.
            left = (_without(manifest, missing) for manifest in self._manifests())
            fitting = (manifest for manifest in left if manifest.digest() == digest)
            self._by_digest[digest, missing] = next(fitting, None)
        return self._by_digest[digest, missing]

    def _manifests(self) -> Iterator[Manifest]:
        """The labels under every tree and upper level, with and without leaky patients."""
        for dataset in self._datasets():
            yield dataset.manifest
            for level in dataset.taxonomy.levels[:-1]:
                yield at_level(dataset, level).manifest

    def _datasets(self) -> Iterator[Dataset]:
        yield self.plain
        for leaky in (False, True):
            for tree in (None, *self.plain.card.trees):
                options = replace(self.options, tree=tree, drop_leaky_patients=leaky)
                try:
                    yield load_labels(self.dataset, options)
                except MilBenchError:  # no official split, whose patients could leak
                    continue


def _without(manifest: Manifest, missing: Sequence[str]) -> Manifest:
    return manifest.keep(set(manifest.slide_ids) - set(missing)) if missing else manifest
