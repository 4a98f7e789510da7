"""Making a protocol of runs that exist."""

from __future__ import annotations

from pathlib import Path

from mil_bench.base.errors import DataError, UnknownNameError, counted, listed
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.base.version import __version__
from mil_bench.contract.spec import Experiment
from mil_bench.datasets import DATASETS
from mil_bench.exchange.bundles.protocol import ANCHORS, FOLDER, Protocol, write_protocol
from mil_bench.exchange.bundles.sources import run_folders, run_sources
from mil_bench.runs.directory import RunDirectory


def freeze(
    name: str,
    day: str,
    runs: Path,
    dataset: str | None = None,
    tree: str | None = None,
    folder: Path = FOLDER,
) -> Path:
    """Write the protocol of the runs in ``runs`` and return its path.

    Folds, seeds and anchors are those of the runs. ``dataset`` and the name of a ``tree`` choose
    among runs of several. The table of the split is copied beside it for a registered dataset,
    which is public; own data may have private ids. Raises ``DataError`` where runs differ in data.
    """
    specs = [RunDirectory(run.path).read_definition() for run in run_folders(runs)]
    chosen = [
        spec
        for spec in specs
        if dataset in (None, spec.dataset) and tree in (None, Taxonomy.from_dict(spec.tree).name)
    ]
    if not chosen:
        names = {f"{spec.dataset}, tree {spec.tree.get('name')}" for spec in specs}
        asked = ", tree ".join(filter(None, [dataset, tree]))
        raise UnknownNameError("data", asked, names, of="these runs")
    first = chosen[0]
    protocol = Protocol(
        name=name,
        date=day,
        dataset=first.dataset,
        kind=first.kind,
        adapter=f"mil-bench {__version__}",
        labels_digest=first.labels_digest,
        split=first.split,
        split_digest=first.split_digest,
        folds=tuple(sorted({spec.fold for spec in chosen})),
        seeds=tuple(sorted({spec.seed for spec in chosen})),
        anchors=tuple(name for name in ANCHORS if name in {spec.method for spec in chosen}),
        tree=first.tree,
    )
    # The first run defines the data.
    others = [spec for spec in chosen if protocol.differences(spec)]
    if others:
        apart = listed(protocol.differences(others[0]), 4)
        raise DataError(
            f"{counted(len(others), 'run has', 'runs have')} other data than the first: {apart}; "
            "choose with --dataset and --tree."
        )
    return write_protocol(protocol, folder, _split_table(runs, first))


def _split_table(runs: Path, spec: Experiment) -> Path | None:
    if spec.dataset not in DATASETS:  # ids of own data may be private
        return None
    name = f"{spec.split}-{spec.split_digest}.csv"
    tables = [source.runs / spec.dataset / "splits" / name for source in run_sources(runs)]
    return next((table for table in tables if table.is_file()), None)
