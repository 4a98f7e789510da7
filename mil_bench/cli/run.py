"""``mil-bench run``: a grid of methods, folds and seeds."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from mil_bench.cli import options as opt
from mil_bench.cli.parse import names, numbers, settings

EXPERIMENT, MACHINE = "Experiment", "Machine"


class Existing(StrEnum):
    """What to do with runs that exist."""

    SKIP = "skip"
    RETRY = "retry-failed"
    OVERWRITE = "overwrite"


class PrecisionChoice(StrEnum):
    """Arithmetic of training and inference."""

    AUTO = "auto"
    FULL = "32"
    BF16 = "bf16"
    HALF = "16"


class CacheChoice(StrEnum):
    """Where features are kept between two epochs."""

    AUTO = "auto"
    RAM = "ram"
    GPU = "gpu"
    NONE = "none"


def run(
    method: Annotated[str, typer.Option("--method", "-m", help="One or more, comma separated.")],
    dataset: opt.DatasetName,
    split: Annotated[
        str | None,
        typer.Option(
            help="official, kfold-5, mccv-10, or a split file or folder (default: the dataset's).",
            rich_help_panel=EXPERIMENT,
        ),
    ] = None,
    fold: Annotated[
        str, typer.Option(help="all, or numbers such as 0,2,4.", rich_help_panel=EXPERIMENT)
    ] = "all",
    seed: Annotated[
        str, typer.Option(help="Numbers such as 0,1,2.", rich_help_panel=EXPERIMENT)
    ] = "0",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="KEY=VALUE for the method or the trainer, such as lr=1e-4; repeatable.",
            rich_help_panel=EXPERIMENT,
        ),
    ] = None,
    allow_leaks: Annotated[
        bool,
        typer.Option(
            "--allow-leaks",
            help="Run a split whose sets share patients; results are marked.",
            rich_help_panel=EXPERIMENT,
        ),
    ] = False,
    data_root: opt.DataRoot = None,
    features: opt.Features = None,
    encoder: opt.Encoder = None,
    tree: opt.Tree = None,
    allow_missing: opt.AllowMissing = False,
    drop_leaky_patients: opt.DropLeaky = False,
    cache_dir: opt.CacheDir = None,
    runs: opt.Runs = Path("runs"),
    existing: Annotated[
        Existing, typer.Option(help="What to do with runs that exist.")
    ] = Existing.SKIP,
    jobs: Annotated[
        int, typer.Option(min=1, help="Runs at the same time.", rich_help_panel=MACHINE)
    ] = 1,
    threads: Annotated[
        int,
        typer.Option(
            min=1,
            help="CPU threads of each run; more help large bags, and change the last bits.",
            rich_help_panel=MACHINE,
        ),
    ] = 1,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=MACHINE)
    ] = "auto",
    precision: Annotated[
        PrecisionChoice, typer.Option(help="Arithmetic.", rich_help_panel=MACHINE)
    ] = PrecisionChoice.AUTO,
    cache: Annotated[
        CacheChoice,
        typer.Option(help="Keep features on the GPU, in RAM, or nowhere.", rich_help_panel=MACHINE),
    ] = CacheChoice.AUTO,
    plugin: opt.Plugin = None,
) -> int:
    """Train and test methods on a dataset; what is done already is skipped."""
    chosen = names("--method", method)
    folds: Literal["all"] | list[int] = "all" if fold == "all" else numbers("--fold", fold)
    seeds = numbers("--seed", seed)
    pairs = settings(set_ or [])
    from mil_bench.cli.plugins import check_names

    check_names(chosen, dataset, plugin or [])

    from rich.console import Console

    from mil_bench.dataset import DatasetOptions
    from mil_bench.runs.grid import GridRequest, run_grid

    request = GridRequest(
        dataset=dataset,
        options=DatasetOptions(
            data_root, features, encoder, tree, drop_leaky_patients, allow_missing, cache_dir
        ),
        methods=chosen,
        split=split,
        folds=folds,
        seeds=seeds,
        settings=pairs,
        runs=runs,
        existing=existing.value,
        jobs=jobs,
        threads=threads,
        device=device,
        precision=precision.value,
        cache=cache.value,
        allow_leaks=allow_leaks,
        plugins=tuple(plugin or ()),
    )
    outcome = run_grid(request, Console())
    return 1 if outcome.failed else 0
