"""Runs of bundles without labels: filled in where the dataset is at hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

from mil_bench.base.atomic import write_bytes
from mil_bench.boards.collect import RunRecord, read_record
from mil_bench.contract.manifest import Manifest
from mil_bench.exchange.bundles.private import with_labels

REASON = "labels are left out of the bundle; pass --data-root with the labels of the dataset"


def missing_slides(record: RunRecord) -> tuple[str, ...]:
    """Return the slides that a run left out because they have no features."""
    content = json.loads((record.path / "result.json").read_text(encoding="utf-8"))
    return tuple(map(str, content.get("missing", ())))


def with_manifest(record: RunRecord, manifest: Manifest | None) -> RunRecord:
    """Return the record of the run with the labels of ``manifest``; a reason without.

    The filled run is kept beside the unpacked bundle. The digest in ``result.json``, which is that
    of the file before labels were left out, proves that the labels are the same.
    """
    if manifest is None:
        return replace(record, status="unreadable", reason=REASON)
    bundle, run = record.path.parents[3], record.path.relative_to(record.path.parents[3])
    place = bundle.with_name(f"{bundle.name}-with-labels") / run
    try:
        content = with_labels((record.path / "predictions.csv").read_bytes(), manifest.labels())
    except KeyError as slide:
        reason = f"the dataset has no label for slide {slide}"
        return replace(record, status="changed", reason=reason)
    shutil.copytree(record.path, place, dirs_exist_ok=True)
    write_bytes(place / "predictions.csv", content)
    filled = read_record(place)
    origin = {name: getattr(record, name) for name in ("bundle", "verification", "differing_copy")}
    return replace(filled, **origin)
