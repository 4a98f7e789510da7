"""The checks of ``mil-bench doctor``: software, devices, folders, data and the packed cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mil_bench.bags.cache.index import Cache, CacheError
from mil_bench.bags.cache.pack import default_cache
from mil_bench.bags.formats.folder import PACKED, discover
from mil_bench.bags.labels.cohort import FolderAdapter
from mil_bench.base.errors import FeatureError, LabelFileNotFoundError, MilBenchError, counted
from mil_bench.base.finding import Finding
from mil_bench.checks.machine.hardware import check_devices, check_folder, check_memory, size
from mil_bench.checks.machine.software import check_software, check_storage
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets import DATASETS
from mil_bench.datasets.load import DATA_ROOT, with_data_root


def examine(
    runs: Path, data_root: Path | None, cache: Path | None, storage: str | None
) -> list[Finding]:
    """Check software, devices, memory, disks, data and the database of searches, in this order."""
    packed = cache or default_cache()
    return [
        *check_software(),
        *check_devices(),
        *check_memory(),
        *check_folder("runs folder", runs, "--runs"),
        *check_folder("cache folder", packed, "--cache-dir"),
        *check_cache(packed),
        *check_data(data_root),
        *check_storage(runs, storage),
    ]


def check_data(data_root: Path | None) -> Iterator[Finding]:
    """Report which registered datasets are under the data root, with slides and encoders."""
    options = with_data_root(DatasetOptions(data_root=data_root))
    root = options.data_root
    if root is None:
        advice = f"set {DATA_ROOT} or pass --data-root (digit-bags requires no files)"
        yield Finding("data root", "none", "note", advice)
        return
    if not root.is_dir():
        advice = f"correct {DATA_ROOT} or --data-root"
        yield Finding("data root", f"{root} is not a folder", "problem", advice)
        return
    datasets = [finding for entry in DATASETS for finding in _dataset(entry.name, options)]
    names = ", ".join(finding.subject for finding in datasets) or "no dataset"
    if datasets:
        yield Finding("data root", f"{root}: {names}")
    else:
        advice = "`mil-bench show NAME` lists the files that a dataset requires"
        yield Finding("data root", f"{root}: {names}", "note", advice)
    yield from datasets


def _dataset(name: str, options: DatasetOptions) -> Iterator[Finding]:
    """Report on one dataset; nothing if it is not under the root."""
    adapter = DATASETS.get(name)()
    if not isinstance(adapter, FolderAdapter):
        return
    try:
        cohort = adapter.read(options)
    except LabelFileNotFoundError:  # the usual case: only some of the datasets are on this machine
        return
    except MilBenchError as error:
        yield Finding(name, str(error), "problem", f"run `mil-bench check dataset {name}`")
        return
    slides = f"{len(cohort.labels.manifest)} slides ({cohort.kind})"
    try:
        sets = discover(cohort.features)
    except FeatureError:
        advice = "put features next to the labels, or pass their folder by --features"
        yield Finding(name, f"{slides}, no features", "note", advice)
    else:
        features = ", ".join(f"{s.encoder} ({len(s.sources)} bags)" for s in sets)
        yield Finding(name, f"{slides}, features {features}")


def check_cache(folder: Path) -> Iterator[Finding]:
    """Report the size of packed features, and packs that are damaged or incomplete."""
    if not folder.is_dir():
        return
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and PACKED in path.name]
    incomplete = [path for path in folders if ".tmp-" in path.name]
    packs = [path for path in folders if path not in incomplete]
    total = size(sum(map(_bytes, packs)))
    yield Finding("packed features", f"{counted(len(packs), 'set')}, {total}")
    for path in packs:
        try:
            Cache(path)
        except CacheError as error:
            yield Finding(
                "packed features",
                f"{path.name} cannot be used: {error}",
                "note",
                f"the next run repacks it; to delete it: rm -r '{path}'",
            )
    for path in incomplete:
        fact = f"{path.name} ({size(_bytes(path))}) is being packed, or is left from a killed run"
        yield Finding("packed features", fact, "note", f"if nothing is running: rm -r '{path}'")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
