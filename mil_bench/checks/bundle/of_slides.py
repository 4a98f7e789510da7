"""Checks of a bundle's slides: those of the split, their labels, nothing private."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mil_bench.base.finding import Finding
from mil_bench.base.privacy import without_places
from mil_bench.checks.bundle.case import BundleCase
from mil_bench.exchange.bundles.pack import HOST_KEYS
from mil_bench.exchange.bundles.sources import run_folders


def on_slides(case: BundleCase) -> Iterator[Finding]:
    """Check that the validation and test slides of every run are those of its fold."""
    if case.submission.ids == "keyed":
        yield Finding("slides", "ids are keyed hashes, so they are not compared", "note", "")
        return
    if case.split is None:
        yield Finding("slides", "the protocol has no public split", "note", "")
        return
    for record in case.records:
        if record.status != "done" or record.spec is None:
            continue
        missing = set(record.result.missing) if record.result else set()
        for name in ("test", "val"):
            # Slides without features are stated by the run.
            expected = set(getattr(case.split[record.spec.fold], name)) - missing
            if name in record.sets and set(record.sets[name].slide_ids) != expected:
                yield Finding(
                    "slides",
                    f"{record.path.name}: the {name} slides are not those of fold "
                    f"{record.spec.fold} of {case.protocol.split}",
                    "problem",
                    "predict every slide of the fold, and no other",
                )
                return
    yield Finding("slides", "validation and test slides are those of the split")


def on_labels(case: BundleCase) -> Iterator[Finding]:
    """Check that slides have one label in all runs, and that of the dataset if it is at hand."""
    seen: dict[str, tuple[int, str]] = {}
    for record in case.records:
        for predictions in record.sets.values():
            ids, labels = predictions.slide_ids.tolist(), predictions.labels.tolist()
            for slide, label, group in zip(ids, labels, predictions.groups.tolist(), strict=True):
                # The same slide in every run, seed and set.
                if seen.setdefault(slide, (label, group)) != (label, group):
                    yield Finding(
                        "labels",
                        f"slide {slide} has several labels or patients in the bundle",
                        "problem",
                        "pack runs of the same labels",
                    )
                    return
    verified = bool(case.records) and all(r.labels == "verified" for r in case.records)
    if verified:
        yield Finding("labels", "labels and patients are those of the dataset")
    else:
        yield Finding(
            "labels", "not compared with the dataset", "note", "pass --data-root where it is"
        )


def on_privacy(case: BundleCase) -> Iterator[Finding]:
    """Check that no machine and no folder of a machine is named."""
    for folder in run_folders(case.path):
        for name in ("env.json", "result.json"):
            file = folder.path / name
            if not file.is_file():
                continue
            text = file.read_text(encoding="utf-8")
            keys = [key for key in HOST_KEYS if key in json.loads(text)]
            # Values, too: paths can be in any text.
            if keys or any(without_places(value) != value for value in _texts(json.loads(text))):
                what = f"the key {keys[0]!r}" if keys else "a folder of a machine"
                yield Finding(
                    "privacy",
                    f"{folder.path.name}/{name} holds {what}",
                    "problem",
                    "pack the bundle with `submit pack`",
                )
                return
    yield Finding("privacy", "no names of machines or folders")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
