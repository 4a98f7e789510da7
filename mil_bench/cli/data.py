"""``mil-bench data``: look at a dataset, pack its features, save a split, simulate a cohort."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mil_bench.cli import options as opt

data_app = typer.Typer(help="Check, pack, split and simulate data.", no_args_is_help=True)


class Cohort(StrEnum):
    """Cohorts whose on-disk form can be simulated."""

    BRACS = "bracs"
    PANDA = "panda"
    CCC = "ccc"


class Layout(StrEnum):
    """Layouts of feature files."""

    TRIDENT = "trident"
    CLAM = "clam"


@data_app.command("check")
def check(
    dataset: opt.DatasetName,
    data_root: opt.DataRoot = None,
    features: opt.Features = None,
    encoder: opt.Encoder = None,
    tree: opt.Tree = None,
    split: Annotated[
        str | None, typer.Option(help="Also check this split (default: the dataset's).")
    ] = None,
    drop_leaky_patients: opt.DropLeaky = False,
    cache_dir: opt.CacheDir = None,
    plugin: opt.Plugin = None,
) -> int:
    """Report what is found and missing, sizes, classes by set, and leaks."""
    _known(dataset, plugin)
    from rich.console import Console

    from mil_bench.bags.check import check_dataset, render
    from mil_bench.dataset import DatasetOptions

    options = DatasetOptions(
        data_root, features, encoder, tree, drop_leaky_patients, True, cache_dir
    )
    report = check_dataset(dataset, options, split)
    render(report, Console())
    return 0 if report.ok else 1


@data_app.command("cache")
def cache_features(
    dataset: opt.DatasetName,
    data_root: opt.DataRoot = None,
    features: opt.Features = None,
    encoder: opt.Encoder = None,
    allow_missing: opt.AllowMissing = False,
    cache_dir: opt.CacheDir = None,
    plugin: opt.Plugin = None,
) -> None:
    """Pack the features now instead of at the first run."""
    _known(dataset, plugin)
    from rich.console import Console

    from mil_bench.dataset import DatasetOptions
    from mil_bench.loading import load_dataset

    loaded = load_dataset(
        dataset,
        DatasetOptions(data_root, features, encoder, None, False, allow_missing, cache_dir),
    )
    store = loaded.store
    Console().print(
        f"{loaded.name}: {len(store.rows)} bags, {len(store.features):,} patches of "
        f"{store.dim} features ({store.features.dtype}), encoder {store.encoder}, "
        f"digest {store.digest}"
    )


@data_app.command("split")
def save_split(
    dataset: opt.DatasetName,
    split: Annotated[str, typer.Option(help="official, kfold-5, mccv-10, or a file to import.")],
    out: Annotated[Path, typer.Option(help="Folder of the CSV.")] = Path("splits"),
    data_root: opt.DataRoot = None,
    drop_leaky_patients: opt.DropLeaky = False,
    plugin: opt.Plugin = None,
) -> None:
    """Make or import a split of all labelled slides, say what is wrong with it, save it."""
    _known(dataset, plugin)
    from rich.console import Console
    from rich.markup import escape

    from mil_bench.bags.splits.make import make_split
    from mil_bench.dataset import DatasetOptions
    from mil_bench.loading import load_labels

    options = DatasetOptions(data_root, drop_leaky_patients=drop_leaky_patients)
    made = make_split(split, load_labels(dataset, options))
    console = Console()
    for note in made.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    console.print(f"{made.name}: {len(made)} folds ({made.mode}) saved in {made.save(out)}")


@data_app.command("simulate")
def simulate_cohort(
    like: Annotated[Cohort, typer.Option(help="The cohort to imitate.")],
    out: Annotated[Path, typer.Option(help="A new folder.")],
    slides: Annotated[
        int | None, typer.Option(min=20, help="Number of slides (default: as the real cohort).")
    ] = None,
    dim: Annotated[int, typer.Option(min=8, help="Feature dimension.")] = 64,
    max_patches: Annotated[
        int | None, typer.Option(min=4, help="Largest bag (default: as the real cohort).")
    ] = None,
    layout: Annotated[Layout, typer.Option(help="Layout of feature files.")] = Layout.TRIDENT,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
) -> None:
    """Write a simulated cohort in the on-disk form of the real one."""
    from rich.console import Console

    from mil_bench.simulation.simulate import simulate

    simulate(
        like.value,
        out,
        slides=slides,
        dim=dim,
        max_patches=max_patches,
        layout=layout.value,
        seed=seed,
    )
    Console().print(
        f"simulated {like.value} cohort in {out}; use it with "
        f"`mil-bench run --method hmil --dataset {like.value} --data-root {out}`"
    )


def _known(dataset: str, plugins: list[Path] | None) -> None:
    from mil_bench.cli.plugins import check_dataset
    from mil_bench.plugins import load_plugins

    load_plugins(plugins or [])
    check_dataset(dataset)
