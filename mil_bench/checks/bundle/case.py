"""A bundle that is checked, beside the protocol that it names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mil_bench.base.errors import DataError
from mil_bench.boards.collect import RunRecord, collect
from mil_bench.boards.known_labels import with_known_labels
from mil_bench.contract.split import Split
from mil_bench.exchange.bundles.protocol import (
    FOLDER,
    Protocol,
    protocol_digest,
    read_protocol,
    read_split,
)
from mil_bench.exchange.bundles.sources import RunSource, unpacked
from mil_bench.exchange.bundles.submission import Submission


@dataclass(frozen=True)
class BundleCase:
    """A bundle with its protocol and its runs.

    ``place`` is the file of the protocol; ``split`` is ``None`` where its ids are private.
    """

    path: Path
    source: RunSource
    submission: Submission
    place: Path
    protocol: Protocol
    split: Split | None
    records: tuple[RunRecord, ...]


def open_case(
    path: Path,
    protocol: Path | None = None,
    dataset: str | None = None,
    data_root: Path | None = None,
) -> BundleCase:
    """Return the bundle in the file ``path``; ``protocol`` is found by its name otherwise.

    Labels are compared with those of the dataset where that is at hand. Raises a ``MilBenchError``
    for a bundle that cannot be trusted, and for one of another protocol.
    """
    source = unpacked(path)
    submission = source.submission
    assert submission is not None
    if protocol is None and not submission.protocol:
        raise DataError(f"{path} names no protocol; pack it with --protocol.")
    place = protocol or FOLDER / f"{submission.protocol}.toml"
    frozen = read_protocol(place)
    if protocol_digest(place) != submission.protocol_digest:
        raise DataError(
            f"{path} was packed for another protocol {submission.protocol!r} than {place}; pack it "
            "with this file."
        )
    records = tuple(collect(path))
    split = read_split(place, frozen)
    case = BundleCase(path, source, submission, place, frozen, split, records)
    return replace(case, records=_with_labels(case, dataset, data_root))


def _with_labels(
    case: BundleCase, dataset: str | None, data_root: Path | None
) -> tuple[RunRecord, ...]:
    """The records with what the dataset says of their labels; hashed ids cannot be looked up."""
    if case.submission.ids == "keyed":
        return case.records
    return tuple(with_known_labels(case.records, dataset, data_root))
