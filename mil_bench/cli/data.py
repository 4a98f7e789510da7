"""``mil-bench data``: pack features, save a split, simulate a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mil_bench.base.errors import UsageError, counted
from mil_bench.cli.check import report_dataset
from mil_bench.cli.options import add
from mil_bench.cli.parser import Command, Parser, dispatch, numbers
from mil_bench.cli.requests import dataset_options, with_plugins

COMMANDS = {
    "cache": Command("Pack the features now instead of at the first run.", f"{__name__}:cache"),
    "split": Command(
        "Make or import a split of all labelled slides, check it and save it.",
        f"{__name__}:save_split",
    ),
    "simulate": Command(
        "Write a simulated cohort with the files of the real one.", f"{__name__}:simulate"
    ),
    "check": Command(
        "Check a dataset.", f"{__name__}:check", successor="mil-bench check dataset NAME"
    ),
}


def data(parser: Parser, words: Sequence[str]) -> int:
    """Run one of :data:`COMMANDS`."""
    parser.usage = f"{parser.prog} COMMAND ..."
    return dispatch(parser, COMMANDS, words)


def cache(parser: Parser, words: Sequence[str]) -> int:
    """Load the dataset once, which packs its features."""
    add(parser, "--dataset", required=True)
    add(parser, "--data-root", "--features", "--encoder", "--allow-missing", "--cache-dir")
    add(parser, "--plugin")
    args = with_plugins(parser.parse(words))
    from rich.console import Console

    from mil_bench.datasets.load import load_dataset

    dataset = load_dataset(args.dataset, dataset_options(args))
    store = dataset.store
    Console().print(
        f"{dataset.name}: {counted(len(store.rows), 'bag')}, {store.instances:,} patches of "
        f"{store.dim} features ({store.features.dtype}), encoder {store.encoder}, "
        f"digest {store.digest}"
    )
    return 0


def save_split(parser: Parser, words: Sequence[str]) -> int:
    """Make, check and save a split."""
    add(parser, "--dataset", "--split", required=True)
    add(parser, "--out", default=Path("splits"))
    add(parser, "--data-root", "--drop-leaky-patients", "--plugin")
    args = with_plugins(parser.parse(words))
    from rich.console import Console

    from mil_bench.bags.splits.make import make_split
    from mil_bench.base.console import print_note
    from mil_bench.datasets.load import load_labels

    split = make_split(args.split, load_labels(args.dataset, dataset_options(args)))
    console = Console()
    for note in split.notes:
        print_note(str(note), console)
    console.print(
        f"{split.name}: {counted(len(split), 'fold')} ({split.mode}) saved in "
        f"{split.save(args.out)}"
    )
    return 0


def simulate(parser: Parser, words: Sequence[str]) -> int:
    """Write a cohort and print how to use it."""
    add(parser, "--like", "--out", required=True)
    add(parser, "--count", "--dim", "--max-patches", "--layout", "--seed")
    args = parser.parse(words)
    (seed, *others) = numbers("--seed", args.seed)
    if others:
        raise UsageError(f"--seed has {args.seed!r}; a simulated cohort takes one seed.")
    from rich.console import Console

    from mil_bench.simulation.simulate import simulate

    simulate(
        args.like,
        args.out,
        slides=args.count,
        dim=args.dim,
        max_patches=args.max_patches,
        layout=args.layout,
        seed=seed,
    )
    Console().print(
        f"Simulated {args.like} cohort written to {args.out}; use it with `mil-bench run --method "
        f"hmil --dataset {args.like} --data-root {args.out}`."
    )
    return 0


def check(parser: Parser, words: Sequence[str]) -> int:
    """Check a dataset: the old spelling of ``mil-bench check dataset``."""
    add(parser, "--dataset", required=True)
    return report_dataset(parser, words)
