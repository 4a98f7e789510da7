"""Runs on features that were extracted twice: equal within a tolerance, they share a board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mil_bench.bags.features_lock import TOLERANCE, FeaturesLock, read_locks
from mil_bench.boards.board import BoardId
from mil_bench.boards.collect import RunRecord
from mil_bench.exchange.bundles.sources import run_sources

SHORT = 6  # digits of a digest of features, for people
Groups = Mapping[BoardId, Sequence[RunRecord]]


def with_extractions(
    groups: Groups, locks: Mapping[str, FeaturesLock]
) -> dict[BoardId, list[RunRecord]]:
    """Return the groups of records, with those of about equal features in one group.

    ``locks`` are by digest of features. The features with most runs give the board its name; runs
    on the others are marked with their digest and their deviation. Two extractions meet only where
    each is about equal to the first, so that small deviations never add up.
    """
    hosts: dict[BoardId, list[RunRecord]] = {}
    for board_id in sorted(groups, key=lambda i: (-len(groups[i]), i.encoder, i.features_digest)):
        host, deviation = _host(board_id, hosts, locks)
        if host is None:
            hosts[board_id] = list(groups[board_id])
            continue
        mark = board_id.features_digest[:SHORT]
        hosts[host] += [
            replace(record, extraction=mark, deviation=deviation) for record in groups[board_id]
        ]
    return hosts


def _host(
    board_id: BoardId, hosts: Iterable[BoardId], locks: Mapping[str, FeaturesLock]
) -> tuple[BoardId | None, float]:
    """The board with about equal features and everything else the same, and the deviation."""
    lock = locks.get(board_id.features_digest)
    for host in hosts if lock is not None else ():
        alike = replace(host, encoder=board_id.encoder, features_digest=board_id.features_digest)
        other = locks.get(host.features_digest)
        if alike == board_id and other is not None and lock is not None:
            deviation = lock.deviation(other)
            if deviation <= TOLERANCE:
                return host, deviation
    return None, 0.0


def locks_of(runs: Path, records: Sequence[RunRecord]) -> tuple[dict[str, FeaturesLock], list[str]]:
    """Return the locks under ``runs`` by digest of features, and a sentence on unreadable ones.

    ``runs`` may hold bundles. Nothing is read where the records of each dataset used one set of
    features, so that nothing can be about equal.
    """
    used = {(r.spec.dataset, r.spec.features_digest) for r in records if r.spec is not None}
    locks: dict[str, FeaturesLock] = {}
    unreadable: list[str] = []
    if len(used) > len({dataset for dataset, _ in used}):
        for source in run_sources(runs):
            of_source, sentences = read_locks(source.runs)
            locks |= of_source
            unreadable += sentences
    return locks, unreadable
