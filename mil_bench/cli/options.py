"""The table of words: every option and argument of every command, with its one meaning.

A command declares what it takes by name (:func:`add`) and says no more than what it requires and
what its own default is.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mil_bench.cli.parser import at_least, positive, share


class Option:
    """One word of the command line: its spelling, what stands for its value, and its meaning.

    A name without dashes is an argument by position. ``how`` are keywords of ``add_argument``.
    """

    def __init__(self, name: str, metavar: str, help: str, *, short: str = "", **how: Any) -> None:
        self.name, self.metavar, self.help = name, metavar, help
        self.flags = (name, short) if short else (name,)
        self.how = how


def switch(name: str, help: str) -> Option:
    """Return an option without a value."""
    return Option(name, "", help, action="store_true")


def toggle(name: str, help: str) -> Option:
    """Return an option with an opposite, ``--no-NAME``."""
    return Option(name, "", help, action=argparse.BooleanOptionalAction)


def choice(name: str, choices: tuple[str, ...], help: str, default: str = "auto") -> Option:
    """Return an option with a few values."""
    return Option(name, "", help, choices=choices, default=default)


def table(*options: Option) -> dict[str, Option]:
    """Return ``options`` by name."""
    return {option.name: option for option in options}


MANY: Final[Mapping[str, Any]] = {"action": "append", "default": []}
PATH: Final[Mapping[str, Any]] = {"type": Path}

OPTIONS: Final = table(
    # names
    Option("--method", "NAMES", "One or more methods, comma separated.", short="-m"),
    Option(
        "--dataset",
        "NAME",
        "Dataset: a name from `mil-bench list datasets`, or a .toml file.",
        short="-d",
    ),
    Option("study", "STUDY.toml", "Study file: a grid over several datasets.", nargs="?"),
    Option("name", "NAME", "Name of a method, dataset or encoder."),
    Option("method", "NAME", "Name of the method."),
    Option("dataset", "NAME", "Dataset: a name from `mil-bench list datasets`, or a .toml file."),
    Option("kind", "KIND", "methods, datasets or encoders (default: all).", nargs="?"),
    Option(
        "--plugin",
        "FILE",
        "Python file that registers methods or datasets; repeatable.",
        type=Path,
        **MANY,
    ),
    # data
    Option(
        "--data-root",
        "DIR",
        "Folder with the dataset's files, or with a sub-folder of the dataset's name "
        "(default: $MIL_BENCH_DATA).",
        **PATH,
    ),
    Option("--features", "DIR", "Folder of feature files, if not under the data root.", **PATH),
    Option(
        "--encoder",
        "NAME",
        "Encoder of the features: a name from `mil-bench list encoders`, or a timm model.",
    ),
    Option("--tree", "NAME", "Label tree: a name, a file (.toml, .json), or an upper level."),
    Option(
        "--slides",
        "PATH",
        "Slides: a folder, a file, a table with the column slide, or a list of names.",
        **PATH,
    ),
    Option("--weights", "FILE", "Weights of the encoder (.safetensors, .pth, .bin).", **PATH),
    switch("--allow-missing", "Skip slides that have no features."),
    switch("--drop-leaky-patients", "Drop patients who are in two official sets."),
    Option(
        "--cache-dir",
        "DIR",
        "Folder of packed features (default: $MIL_BENCH_CACHE, else ~/.cache/mil-bench).",
        **PATH,
    ),
    # experiment
    Option(
        "--split",
        "NAME",
        "Split: official, kfold-5, mccv-10, or a file or folder (default: the dataset's).",
    ),
    Option("--fold", "NUMBERS", "Folds: all, or numbers such as 0,2,4.", default="all"),
    Option("--seed", "NUMBERS", "Random seeds, such as 0,1,2.", default="0"),
    Option(
        "--set",
        "KEY=VALUE",
        "Setting of the method or the trainer, such as lr=1e-4; repeatable.",
        **MANY,
    ),
    Option(
        "--head",
        "NAME",
        "Head of a flat method: flat, multi, conditional, marginal or soft-labels (docs/heads.md).",
        dest="set",
        type="head={}".format,
        action="append",
    ),
    Option(
        "--online",
        "WHAT",
        "Train features with the method: adapter, or blocks=N,tiles=K (docs/online.md).",
    ),
    Option(
        "--init",
        "FILE",
        "Begin from these weights: the folder of an export, or published weights (docs/models.md).",
        **PATH,
    ),
    switch("--allow-leaks", "Run a split whose sets share patients; results are marked."),
    Option(
        "--trained-on",
        "NAME",
        "Dataset that the models were trained on (default: the only one of the method).",
    ),
    switch("--heatmap", "Draw heatmaps of the predicted slides."),
    # runs
    Option(
        "--runs",
        "DIR",
        "Folder of runs; commands that read runs also take a bundle, or a folder with bundles.",
        default=Path("runs"),
        **PATH,
    ),
    Option("--out", "PATH", "Output folder, or file.", **PATH),
    Option("--format", "NAMES", "Further forms of the model: torchscript, onnx."),
    Option("--licence", "TEXT", "Licence of the exported model, for its card."),
    switch("--overwrite", "Compute existing results again and replace them."),
    switch("--dry-run", "Print the plan and the expected time; run nothing."),
    switch("--allow-missing-datasets", "Run the datasets of a study that are available."),
    switch("--failed", "Rerun failed runs."),
    switch("--interrupted", "Rerun runs that started and are no longer executing."),
    switch("--all", "Show every grid and run (default: the latest grid and those running)."),
    switch("--watch", "Show changes until no run is left (Ctrl-C stops)."),
    switch("--verbose", "Show all notes."),
    # machine
    choice(
        "--executor",
        ("local", "ray", "slurm"),
        "Where runs execute: local processes, a Ray cluster or Slurm.",
        "local",
    ),
    Option(
        "--jobs",
        "N",
        "Runs at a time (default: 1; as many as fit with ray or slurm).",
        type=at_least(1),
    ),
    Option(
        "--threads",
        "N",
        "CPU threads per run. More are faster for large bags but change results in the last "
        "digits.",
        type=at_least(1),
        default=1,
    ),
    Option("--memory", "GB", "Memory that Ray or Slurm reserves per run.", type=at_least(1)),
    Option("--device", "NAME", "Device: auto, cpu, cuda or cuda:N.", default="auto"),
    choice(
        "--precision",
        ("auto", "32", "bf16", "16"),
        "Floating-point precision; auto depends on method and device.",
    ),
    choice(
        "--placement",
        ("auto", "ram", "gpu", "none"),
        "Where features are kept between epochs; results do not change.",
    ),
    Option(
        "--slurm",
        "KEY=VALUE",
        "Option of sbatch, such as partition=gpu or time=240; repeatable.",
        **MANY,
    ),
    # tune
    Option(
        "--trials",
        "N",
        "Trials per search, including the default settings; the same for every method.",
        type=at_least(1),
        default=50,
    ),
    Option(
        "--objective",
        "SCORE",
        "Validation score to optimise: any score of a board.",
        default="balanced_accuracy",
    ),
    Option(
        "--search",
        "KEY=RANGE",
        "Range to search, such as lr=1e-5:1e-3:log or width=128,256; repeatable.",
        **MANY,
    ),
    Option("--only", "NAMES", "Settings to search (default: all that are tunable)."),
    Option("--fix", "NAMES", "Settings to leave at their defaults."),
    choice(
        "--sampler",
        ("auto", "tpe", "gp", "random", "grid"),
        "Optuna sampler; auto is gp up to 100 trials, tpe above.",
    ),
    choice(
        "--pruner",
        ("none", "median", "wilcoxon"),
        "Rule that stops bad trials early; budgets are equal only with none.",
        "none",
    ),
    Option("--search-seed", "NUMBERS", "Random seeds of the runs of a trial.", default="0"),
    switch(
        "--shared",
        "Search once for all folds, although they train on each other's test slides; rows are "
        "marked.",
    ),
    switch("--retry-failed", "Retry the failed trials of the search."),
    toggle("--refit", "Run the default and the best settings on every fold and seed afterwards."),
    Option("--max-memory-mb", "MB", "Limit on the peak memory of a run.", type=at_least(1)),
    Option("--max-parameters", "N", "Limit on trained parameters.", type=at_least(1)),
    Option(
        "--storage",
        "URL",
        "Database of searches: postgresql+psycopg://USER@HOST/DATABASE or sqlite:///FILE "
        "(default: .search/tuning.db in --runs).",
    ),
    # ablate
    Option(
        "--vary",
        "KEY=VALUES",
        "Values to combine instead of components, such as lr=1e-4,3e-4; repeatable.",
        **MANY,
    ),
    Option(
        "--variants",
        "NAMES",
        "Variants to run with the full method, such as no_con,released (default: all).",
    ),
    Option(
        "--metric",
        "NAMES",
        "Scores to show (default: balanced accuracy and AUC of leaf and top level).",
    ),
    # boards
    toggle("--figures", "Draw all figures, or none (default: the overview)."),
    toggle("--html", "Write index.html and a page per cohort, which work offline."),
    switch("--common", "Score only the slides that all methods have predicted."),
    Option("--by", "COLUMN", "Column of the label table that defines subgroups, such as provider."),
    Option(
        "--show",
        "TABLES",
        "Tables to print, comma separated, or all (default: overall and hierarchical).",
    ),
    Option("first", "METHOD", "Method, or a row such as 'abmil (tuned)'."),
    Option("second", "METHOD", "Method to compare with."),
    Option(
        "predictions",
        "FILE",
        "Files of slides and probabilities, several per model for folds and seeds; or one bundle.",
        nargs="+",
        **PATH,
    ),
    Option("row", "NAME", "Name of the model on boards."),
    switch("--logits", "The files hold logits, which softmax turns into probabilities."),
    # submissions
    Option("--protocol", "FILE", "Protocol: protocols/NAME.toml (docs/submit.md).", **PATH),
    Option("bundle", "BUNDLE", "Bundle.", **PATH),
    Option("--cell", "SEED,FOLD", "Run to repeat, or random.", default="random"),
    Option("--verifier", "NAME", "Record a confirmed run in verified.toml, by this name."),
    Option("bundles", "BUNDLE", "Bundles, or folders with bundles.", nargs="+", **PATH),
    Option("protocol", "NAME", "Name of the protocol, such as bracs-2026-11."),
    Option(
        "--about",
        "FILE",
        "Words of the authors on their runs; a form is written if it is missing.",
        default=Path("submission.toml"),
        **PATH,
    ),
    switch("--suppress-rare", "Hide counts and scores of classes of fewer than five patients."),
    switch("--yes", "Write without asking, for scripts."),
    Option("--id-key", "FILE", "Key that hashes private slide ids; it stays at home.", **PATH),
    switch("--without-labels", "Leave out labels that a licence forbids to pass on."),
    switch("--without-anchors", "Leave out the anchors: they are in a bundle beside this one."),
    # heatmaps
    Option("--run", "KEY", "Run key, or its first characters; repeatable.", **MANY),
    Option("keys", "KEY", "Run keys, or their first characters.", nargs="+"),
    Option("--slide", "ID", "Slide id; repeatable.", **MANY),
    Option("--level", "NAME", "Level of the label tree, such as coarse or leaf (default: all)."),
    Option("--class", "NAME", "Class of the label tree (default: all).", dest="class_name"),
    choice(
        "--relevance",
        ("auto", "attention", "gradient", "occlusion"),
        "Scores of patches; auto is attention, or the gradient for methods without.",
    ),
    # cards and new methods
    Option("--page", "DIR", "Folder for the method's page (Markdown) and figure.", **PATH),
    Option(
        "--boards",
        "DIR",
        "Boards to quote on the page: the --out of `leaderboard`.",
        default=Path("leaderboards"),
        **PATH,
    ),
    Option("--from", "METHOD", "Method to derive from (default: a small template).", dest="base"),
    # simulated cohorts
    choice("--like", ("bracs", "panda", "ccc"), "Cohort to imitate.", ""),
    Option("--count", "N", "Number of slides (default: as the real cohort).", type=at_least(20)),
    Option("--dim", "D", "Feature dimension.", type=at_least(8), default=64),
    Option(
        "--max-patches",
        "N",
        "Patches of the largest bag (default: as the real cohort).",
        type=at_least(4),
    ),
    choice("--layout", ("trident", "clam"), "Layout of the feature files.", "trident"),
    # extraction
    Option(
        "--mpp-override",
        "UM",
        "Um per pixel of slides for which the table has none; overrides their files.",
        type=positive,
    ),
    switch("--download", "Download the weights from the Hugging Face hub."),
    switch("--random-weights", "Use random weights, for testing only; features are marked."),
    Option("--mpp", "UM", "Um per pixel of the tiles (default: the encoder's).", type=positive),
    Option("--tile", "PX", "Pixels per side (default: the encoder's).", type=at_least(16)),
    choice(
        "--tissue",
        ("default", "biopsy", "resection", "tcga", "smear", "none"),
        "How tissue is separated from background.",
        "default",
    ),
    Option(
        "--min-tissue",
        "SHARE",
        "Smallest share of tissue in a tile, 0 to 1 (default: set by --tissue).",
        type=share,
    ),
    Option(
        "--workers",
        "N",
        "Processes that read slides (default: by the number of cores).",
        type=at_least(0),
    ),
    Option("--batch", "N", "Tiles per batch (default: 64 on a GPU, 8 on a CPU).", type=at_least(1)),
)


def add(
    group: argparse._ActionsContainer,
    *names: str,
    required: bool = False,
    hidden: bool = False,
    options: Mapping[str, Option] = OPTIONS,
    **default: Any,
) -> None:
    """Declare ``names`` of the table ``options`` in this order.

    ``required``, ``hidden`` and ``default`` (of this command) hold for all of them.
    """
    for name in names:
        option = options[name]
        help = argparse.SUPPRESS if hidden else option.help
        # The default of a command wins over that of the table.
        keywords = {**option.how, "help": help, **default}
        if option.metavar:
            keywords["metavar"] = option.metavar
        if required:
            keywords["required"] = True
        group.add_argument(*option.flags, **keywords)
