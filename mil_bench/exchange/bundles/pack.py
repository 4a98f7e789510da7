"""From runs to a bundle: which runs, which of their files, and what must not leave the house."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mil_bench.bags.features_lock import LOCKS_FOLDER
from mil_bench.base.errors import DataError, UnknownNameError, counted, listed
from mil_bench.contract.spec import Experiment
from mil_bench.contract.variants import digest, labels, settings
from mil_bench.evaluation.predictions import SeedFold
from mil_bench.exchange.bundles.bundle import OPTIONAL, REQUIRED, write_bundle
from mil_bench.exchange.bundles.private import Disguise
from mil_bench.exchange.bundles.protocol import Protocol
from mil_bench.exchange.bundles.sources import run_folders
from mil_bench.exchange.bundles.submission import Authorship, Settings, Submission
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.plan import is_default
from mil_bench.runs.tuning_record import TuningRecord, read_tunings

_LONGEST_NAME = 60
HOST_KEYS = ("machine", "host", "user")
"""Keys of ``env.json`` of older runs that name a machine or a person."""


@dataclass(frozen=True)
class PackedRow:
    """What one bundle holds: a method with equal settings, or the outcome of its searches.

    ``name`` is the method, with what sets its settings apart. ``folders`` are run folders by cell.
    """

    method: str
    name: str
    settings: Settings
    folders: Mapping[SeedFold, Path]
    searches: tuple[TuningRecord, ...] = ()

    @property
    def file_name(self) -> str:
        """The name as that of a file: ``abmil-head-multi``; a long one ends in its hash."""
        name = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        if len(name) <= _LONGEST_NAME:
            return name
        return f"{name[:_LONGEST_NAME]}-{sha256(self.name.encode()).hexdigest()[:8]}"


def rows_of(runs: Path, protocol: Protocol, encoder: str | None = None) -> list[PackedRow]:
    """Return the rows of the completed runs of ``protocol``, by method and name.

    Raises ``DataError`` where there are none, and where they have several sets of features:
    ``encoder`` chooses one.
    """
    by_method: dict[str, list[tuple[Path, Experiment]]] = defaultdict(list)
    features: dict[str, str] = {}
    apart: list[str] = []
    for run in run_folders(runs):
        directory = RunDirectory(run.path)
        if directory.status() != "done":
            continue
        spec = directory.read_definition()
        if protocol.requires(spec) and encoder in (None, spec.encoder):
            features[spec.features_digest] = spec.encoder
            by_method[spec.method].append((run.path, spec))
        else:
            # The nearest run explains best.
            apart = min(filter(None, [apart, protocol.differences(spec)]), key=len, default=[])
    if not by_method:
        why = f"; the nearest differ in {listed(apart, 4)}" if apart else ""
        raise DataError(f"{runs} holds no completed run of protocol {protocol.name}{why}.")
    if len(features) > 1:
        raise DataError(
            f"{runs} holds runs on {len(features)} sets of features (encoders "
            f"{listed(sorted(set(features.values())))}); choose with --encoder, or pack from a "
            "folder of one set."
        )
    searches = read_tunings(runs) if runs.is_dir() else []
    return [
        row
        for method, members in sorted(by_method.items())
        for row in _rows(method, members, [s for s in searches if s.method == method])
    ]


def _rows(
    method: str,
    members: Sequence[tuple[Path, Experiment]],
    searches: Sequence[TuningRecord],
) -> list[PackedRow]:
    tuned = {key for search in searches for key in search.tuned}
    # Runs of the default settings have their own row.
    plain = tuned - {key for search in searches for key in search.default}
    variants: dict[str, list[tuple[Path, Experiment]]] = defaultdict(list)
    for path, spec in members:
        if path.name not in plain:
            variants[digest(settings(spec))].append((path, spec))
    usual = next((v[0][1] for v in variants.values() if is_default(v[0][1])), None)
    texts = [settings(variant[0][1]) for variant in variants.values()]
    words = labels(texts, settings(usual) if usual else None) if texts else []
    rows = [
        PackedRow(
            method,
            f"{method} {word}".strip(),
            "default" if is_default(variant[0][1]) else "chosen",
            _by_cell(variant),
        )
        for word, variant in zip(words, variants.values(), strict=True)
    ]
    outcome = [(path, spec) for path, spec in members if path.name in tuned]
    if outcome:
        cells = _by_cell(outcome)
        rows.append(PackedRow(method, f"{method} tuned", "tuned", cells, tuple(searches)))
    return sorted(rows, key=lambda row: row.name)


def _by_cell(members: Iterable[tuple[Path, Experiment]]) -> dict[SeedFold, Path]:
    return {(spec.seed, spec.fold): path for path, spec in members}


def chosen_rows(rows: Sequence[PackedRow], names: Sequence[str]) -> list[PackedRow]:
    """Return the rows called ``names``: a row's name, or a method for its default settings.

    A method without a row at its defaults stands for its only row. Raises ``UnknownNameError``.
    """
    chosen = []
    for name in names:
        own = [row for row in rows if row.name == name]
        of_method = [row for row in rows if row.method == name]
        default = [row for row in of_method if row.settings == "default"]
        row = next(iter(own or default or (of_method if len(of_method) == 1 else [])), None)
        if row is None:
            raise UnknownNameError("row", name, [row.name for row in rows], of="these runs")
        chosen.append(row)
    return chosen


def anchors_of(rows: Sequence[PackedRow], protocol: Protocol) -> list[PackedRow]:
    """Return the anchors of ``protocol`` at their defaults.

    Raises ``DataError`` for one that was not run, or not in every cell.
    """
    # An anchor has the default settings.
    default = {row.method: row for row in rows if row.settings == "default"}
    absent = [name for name in protocol.anchors if name not in default]
    if absent:
        raise DataError(
            f"the anchors {listed(absent)} of protocol {protocol.name} have no completed runs at "
            f"their default settings; run --method {','.join(absent)} on the same features."
        )
    chosen = [default[name] for name in protocol.anchors]
    for row in chosen:
        check_cells(row, protocol)
    return chosen


def check_cells(row: PackedRow, protocol: Protocol) -> None:
    """Raise ``DataError`` unless the row has a completed run in every cell of ``protocol``."""
    absent = [cell for cell in protocol.cells if cell not in row.folders]
    if absent:
        seed, fold = absent[0]
        raise DataError(
            f"{row.name} lacks {counted(len(absent), 'run')} of protocol {protocol.name} (first: "
            f"seed {seed}, fold {fold}); run them, then pack again."
        )


def pack(path: Path, rows: Sequence[PackedRow], submission: Submission, disguise: Disguise) -> Path:
    """Write the bundle of ``rows`` and return its path.

    ``disguise`` says what leaves the house of ids and labels. Raises ``BundleError`` for content
    that may not be in a bundle.
    """
    files = {} if disguise.key else _locks(rows)
    for row in rows:
        for folder in row.folders.values():
            place = "/".join(("runs", *folder.parts[-3:]))
            files |= {f"{place}/{name}": content for name, content in _files(folder, disguise)}
        for search in row.searches:
            name = f"tuning-{search.study.rpartition('-')[2]}.json"
            content = json.dumps(search.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"
            files[f"runs/{search.dataset}/{search.method}/{name}"] = content.encode()
    return write_bundle(path, submission, files)


def _locks(rows: Sequence[PackedRow]) -> dict[str, bytes]:
    """The descriptions of the features of the runs, which name slides."""
    files = {}
    for folder in (folder for row in rows for folder in row.folders.values()):
        digest = RunDirectory(folder).read_definition().features_digest
        dataset = folder.parents[1]
        lock = dataset / LOCKS_FOLDER / f"{digest}.json"
        name = f"runs/{dataset.name}/{LOCKS_FOLDER}/{lock.name}"
        if name not in files and lock.is_file():
            files[name] = lock.read_bytes()
    return files


def _files(folder: Path, disguise: Disguise) -> list[tuple[str, bytes]]:
    present = [name for name in (*REQUIRED, *OPTIONAL) if (folder / name).is_file()]
    content = {name: (folder / name).read_bytes() for name in present}
    if "env.json" in content:
        content["env.json"] = _without_host(content["env.json"])
    return list(disguise.applied(content).items())


def _without_host(content: bytes) -> bytes:
    """``env.json`` without names of machines; as it is where it has none."""
    values: dict[str, Any] = json.loads(content)
    kept = {key: value for key, value in values.items() if key not in HOST_KEYS}
    return content if kept == values else (json.dumps(kept, indent=2) + "\n").encode()


def hardware_of(rows: Sequence[PackedRow]) -> str:
    """Return the devices of the runs, as their results name them."""
    devices = {
        str(RunDirectory(folder).read_result().get("device", ""))
        for row in rows
        for folder in row.folders.values()
    }
    return "; ".join(sorted(filter(None, devices)))


def submission_of(
    about: Authorship,
    row: PackedRow,
    members: Sequence[PackedRow],
    protocol: str,
    digest: str,
    disguise: Disguise,
) -> Submission:
    """Return what the bundle of ``row`` says: the words of its authors, and facts of its runs."""
    return Submission(
        **about.model_dump(),
        method=row.name,
        settings=row.settings,
        anchors=tuple(member.method for member in members if member != row),
        trials=sum(search.trials for search in row.searches),
        hardware=hardware_of(members),
        protocol=protocol,
        protocol_digest=digest,
        ids="keyed" if disguise.key else "public",
        labels="included" if disguise.labels else "left out",
    )
