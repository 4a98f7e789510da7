"""The checks of ``mil-bench doctor``: software, devices, folders, data and the packed cache."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch
from packaging.requirements import Requirement
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mil_bench.bags.cache.index import Cache, CacheError
from mil_bench.bags.cache.pack import default_cache
from mil_bench.bags.formats.folder import PACKED, discover
from mil_bench.bags.labels.cohort import FolderAdapter
from mil_bench.bags.placement import GIGABYTE, available_memory
from mil_bench.base.errors import FeatureError, LabelFileNotFoundError, MilBenchError, counted
from mil_bench.base.finding import Finding
from mil_bench.base.version import __version__
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets import DATASETS
from mil_bench.datasets.load import DATA_ROOT, with_data_root
from mil_bench.runs.environment import driver, processor
from mil_bench.tuning.storage import StorageRequest


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


def size(number: float) -> str:
    """Return a number of bytes as text: ``12.0 MB``, ``3.4 GB``."""
    for unit, of in {"GB": GIGABYTE, "MB": 1e6}.items():
        if number >= of:
            return f"{number / of:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"


LITTLE_MEMORY = 2 * GIGABYTE  # one process with torch and a small dataset takes about a quarter
LITTLE_DISK = 5 * GIGABYTE  # packed features of one cohort can take more
NO_DISK = 0.1 * GIGABYTE  # checkpoints of a few runs


def check_devices() -> Iterator[Finding]:
    """Report the processor and every GPU that torch can use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("processor", f"{processor()}, {cores} cores for this process")
    for i in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(i)
        name = torch.cuda.get_device_name(i)
        yield Finding(f"cuda:{i}", f"{name}, {size(free)} of {size(total)} free, driver {driver()}")
    if torch.cuda.device_count() == 0:
        yield _no_gpu(driver(), torch.version.cuda)  # a note only where a driver promises a GPU


def _no_gpu(driver: str | None, cuda: str | None) -> Finding:
    if driver is None:
        return Finding("GPU", "none; runs use the processor")
    if cuda is None:
        advice = "install a CUDA build of torch (pytorch.org)"
        return Finding("GPU", f"driver {driver}, but torch is a CPU build", "note", advice)
    return Finding(
        "GPU",
        f"driver {driver}, but torch for CUDA {cuda} sees no device",
        "note",
        "check `nvidia-smi` and CUDA_VISIBLE_DEVICES; the driver may be too old for this torch",
    )


def check_memory() -> Iterator[Finding]:
    """Report the free RAM, within the limits of a container or batch job."""
    free = available_memory()
    if free < LITTLE_MEMORY:
        advice = "use --jobs 1 and --placement none, or close other programs"
        yield Finding("memory", f"{size(free)} free", "note", advice)
    else:
        yield Finding("memory", f"{size(free)} free")


def check_folder(subject: str, folder: Path, option: str) -> Iterator[Finding]:
    """Report whether a folder can be written (or made) and the free space of its disk."""
    # A folder that is made later is on the disk of its parent.
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(parent).free
    fact = f"{folder}: {size(free)} free"
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        advice = f"choose another folder by {option}, or change its permissions"
        yield Finding(subject, f"{folder} cannot be written", "problem", advice)
    elif free < NO_DISK:
        advice = f"free some space, or choose another disk by {option}"
        yield Finding(subject, fact, "problem", advice)
    elif free < LITTLE_DISK:
        advice = f"packed features can be large: free some space, or use another disk by {option}"
        yield Finding(subject, fact, "note", advice)
    else:
        yield Finding(subject, fact)


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
    slides = f"{counted(len(cohort.labels.manifest), 'slide')} ({cohort.kind})"
    try:
        sets = discover(cohort.features)
    except FeatureError:
        advice = "put features next to the labels, or pass their folder by --features"
        yield Finding(name, f"{slides}, no features", "note", advice)
    else:
        features = ", ".join(f"{s.encoder} ({counted(len(s.sources), 'bag')})" for s in sets)
        yield Finding(name, f"{slides}, features {features}")


def check_cache(folder: Path) -> Iterator[Finding]:
    """Report the size of packed features, and packs that are damaged or incomplete."""
    if not folder.is_dir():
        return
    # A pack in progress and a pack of a killed run look alike, so neither is deleted here.
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


PACKAGE = "mil-bench"
SHOWN = ("torch", "numpy", "pandas", "scikit-learn", "optuna")
FOR_DEVELOPERS = {"dev", "bench"}


def check_software() -> Iterator[Finding]:
    """Report requirements that are missing or too old as problems; missing extras are ok."""
    yield Finding("mil-bench", f"{__version__} on Python {platform.python_version()}")
    requirements = [Requirement(line) for line in requires(PACKAGE) or []]
    wrong = [need for need in requirements if not _extra(need) and not _met(need)]
    for need in wrong:
        yield Finding(
            need.name,
            f"{_version(need.name) or 'not installed'}; requires {need.specifier}",
            "problem",
            f'pip install "{need.name}{need.specifier}"',
        )
    names = [name for name in SHOWN if name not in {need.name for need in wrong}]
    yield Finding("packages", ", ".join(f"{name} {_version(name)}" for name in names))
    for extra in sorted({_extra(need) for need in requirements} - {""} - FOR_DEVELOPERS):
        parts = [need for need in requirements if _extra(need) == extra]
        versions = ", ".join(f"{need.name} {_version(need.name)}" for need in parts)
        how = f'not installed; to add it: pip install "{PACKAGE}[{extra}]"'
        yield Finding(f"extra {extra}", versions if all(map(_met, parts)) else how)


def _extra(need: Requirement) -> str:
    """Return the extra that a requirement belongs to, or ``""``."""
    marker = str(need.marker or "")
    return marker.partition("extra ==")[2].strip().strip("\"'")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _met(need: Requirement) -> bool:
    installed = _version(need.name)
    return installed is not None and need.specifier.contains(installed, prereleases=True)


SECONDS = 5  # until a server that does not answer counts as unreachable


def check_storage(runs: Path, url: str | None) -> Iterator[Finding]:
    """Connect to the database of searches and query it; nothing is written.

    Without ``url`` this is the SQLite file next to the runs, if there is one.
    """
    if url is None:
        request = StorageRequest.beside(runs)
        if request.file is None or not request.file.exists():
            return
        url = request.url
    try:
        parsed = make_url(url)
    except ArgumentError:
        advice = "expected a URL such as postgresql+psycopg://USER@HOST/DATABASE"
        yield Finding("storage", f"{url!r} is not a database URL", "problem", advice)
        return
    shown = parsed.render_as_string(hide_password=True)  # reports are passed on
    try:
        fact = _answer(parsed)
    except ImportError as error:
        advice = 'pip install "mil-bench[postgres]"'
        yield Finding("storage", f"{shown}: no driver ({error})", "problem", advice)
    except SQLAlchemyError as error:
        cause = " ".join(str(error.__cause__ or error).split())  # one line: drivers write several
        advice = "check the server, and host, user, password and database of the URL"
        yield Finding("storage", f"{shown} does not answer ({cause})", "problem", advice)
    else:
        yield Finding("storage", f"{shown} {fact}")


def _answer(url: URL) -> str:
    sqlite = url.get_backend_name() == "sqlite"
    settings: dict[str, Any] = {"timeout" if sqlite else "connect_timeout": SECONDS}
    if sqlite:  # a plain connection would make an empty file
        settings["uri"] = True
        url = url.set(database=f"file:{url.database}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url, connect_args=settings)
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    engine.dispose()
    return "answers"
