"""``mil-bench data``: look at a dataset, pack its features, save a split, simulate a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mil_bench.cli.check import report_dataset, with_plugins
from mil_bench.cli.options import add_shared
from mil_bench.cli.parser import Command, Parser, at_least, dispatch
from mil_bench.cli.requests import dataset_options

COMMANDS = {
    "check": Command(
        "The same as `mil-bench check dataset`.",
        f"{__name__}:check",
    ),
    "cache": Command("Pack the features now instead of at the first run.", f"{__name__}:cache"),
    "split": Command(
        "Make or import a split of all labelled slides, say what is wrong with it, save it.",
        f"{__name__}:save_split",
    ),
    "simulate": Command(
        "Write a simulated cohort in the on-disk form of the real one.", f"{__name__}:simulate"
    ),
}


def data(parser: Parser, words: Sequence[str]) -> int:
    """One of :data:`COMMANDS`."""
    parser.usage = f"{parser.prog} COMMAND ..."
    return dispatch(parser, COMMANDS, words)


def check(parser: Parser, words: Sequence[str]) -> int:
    """The same as ``mil-bench check dataset``."""
    add_shared(parser, "dataset", required=True)
    return report_dataset(parser, words)


def cache(parser: Parser, words: Sequence[str]) -> int:
    """Load the dataset once, which packs its features."""
    add_shared(parser, "dataset", required=True)
    add_shared(parser, "data_root", "features", "encoder", "allow_missing", "cache_dir", "plugin")
    given = with_plugins(parser.parse(words))
    from rich.console import Console

    from mil_bench.datasets.load import load_dataset

    loaded = load_dataset(given.dataset, dataset_options(given))
    store = loaded.store
    Console().print(
        f"{loaded.name}: {len(store.rows)} bags, {store.instances:,} patches of "
        f"{store.dim} features ({store.features.dtype}), encoder {store.encoder}, "
        f"digest {store.digest}"
    )
    return 0


def save_split(parser: Parser, words: Sequence[str]) -> int:
    """Make, judge and save a split."""
    add_shared(parser, "dataset", required=True)
    parser.add_argument(
        "--split",
        metavar="NAME",
        required=True,
        help="official, kfold-5, mccv-10, or a file to import.",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("splits"), help="Folder of the CSV."
    )
    add_shared(parser, "data_root", "drop_leaky_patients", "plugin")
    given = with_plugins(parser.parse(words))
    from rich.console import Console
    from rich.markup import escape

    from mil_bench.bags.splits.make import make_split
    from mil_bench.datasets.load import load_labels

    made = make_split(given.split, load_labels(given.dataset, dataset_options(given)))
    console = Console()
    for note in made.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    console.print(f"{made.name}: {len(made)} folds ({made.mode}) saved in {made.save(given.out)}")
    return 0


def simulate(parser: Parser, words: Sequence[str]) -> int:
    """Write a cohort and say how to use it."""
    _declare_simulation(parser)
    given = parser.parse(words)
    from rich.console import Console

    from mil_bench.simulation.simulate import simulate

    simulate(
        given.like,
        given.out,
        slides=given.slides,
        dim=given.dim,
        max_patches=given.max_patches,
        layout=given.layout,
        seed=given.seed,
    )
    Console().print(
        f"simulated {given.like} cohort in {given.out}; use it with `mil-bench run --method hmil "
        f"--dataset {given.like} --data-root {given.out}`"
    )
    return 0


def _declare_simulation(parser: Parser) -> None:
    parser.add_argument(
        "--like", choices=("bracs", "panda", "ccc"), required=True, help="The cohort to imitate."
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="A new folder.")
    parser.add_argument(
        "--slides",
        metavar="N",
        type=at_least(20),
        help="Number of slides (default: as the real cohort).",
    )
    parser.add_argument(
        "--dim", metavar="D", type=at_least(8), default=64, help="Feature dimension."
    )
    parser.add_argument(
        "--max-patches",
        metavar="N",
        type=at_least(4),
        help="Largest bag (default: as the real cohort).",
    )
    parser.add_argument(
        "--layout",
        choices=("trident", "clam"),
        default="trident",
        help="Layout of feature files.",
    )
    parser.add_argument("--seed", metavar="N", type=at_least(0), default=0, help="Random seed.")
