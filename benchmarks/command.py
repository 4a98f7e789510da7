"""Start every benchmark from the command line, with the parser of the product."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from inspect import Parameter, signature
from typing import Any, Final

from mil_bench.base.errors import MilBenchError, UnknownNameError
from mil_bench.cli.options import OPTIONS, PATH, Option, add, switch, table, toggle
from mil_bench.cli.parser import Parser, at_least, names

SHARED: Final = (
    *("--method", "--encoder", "--slides", "--runs", "--device", "--threads", "--workers"),
    *("--mpp", "--dim", "--seed"),
)
"""Words of the product that mean the same here."""
WORDS: Final = {name: OPTIONS[name] for name in SHARED} | table(
    Option("--workload", "NAMES", "Workloads, comma separated."),
    Option("--contestant", "NAMES", "Contestants, comma separated."),
    Option("--precisions", "NAMES", "Precisions, comma separated: 32, bf16."),
    Option("--rounds", "N", "Timed rounds; one more warms up.", type=at_least(1)),
    Option("--epochs", "N", "Epochs before quality is scored (W2).", type=at_least(0)),
    Option("--bags", "N", "Bags per step of ours.", type=at_least(1)),
    Option("--batches", "NUMBERS", "Bags per step, comma separated."),
    toggle("--dropout", "Use dropout as published, or none."),
    switch("--inference", "Predict only; train nothing."),
    switch("--quick", "Run a fraction and store nothing."),
    Option("--sizes", "NUMBERS", "Patches per bag, comma separated."),
    Option("--steps", "N", "Timed steps per size; one more warms up.", type=at_least(1)),
    Option("--rows", "N", "Patches of the bag.", type=at_least(1)),
    Option("--folder", "DIR", "Folder for temporary files.", **PATH),
    Option("--results", "DIR", "Folder of results by hardware.", **PATH),
    Option("--profiles", "DIR", "Folder of profiler traces.", **PATH),
    Option("--samples", "N", "Samples of each setting.", type=at_least(1)),
    Option("--replicates", "N", "Bootstrap replicates per sample.", type=at_least(100)),
    Option("--side", "PX", "Side of the synthetic slide in pixels.", type=at_least(1024)),
    Option("--first", "DIR", "Boards of `mil-bench leaderboard --out`.", **PATH),
    Option("--second", "DIR", "The same boards, of the runs repeated.", **PATH),
    Option("--change", "NAME", "What differs: processor, threads or precision."),
    Option("--machines", "A|B", "Names of both machines."),
    Option("--copies", "N", "Number of slides that `extract` reads.", type=at_least(1)),
)
"""Every option of every benchmark, as :data:`mil_bench.cli.options.OPTIONS` for the product."""


def run(function: Callable[..., None]) -> None:
    """Call ``function`` with the options of the command line; a user's error is one sentence.

    Each parameter of ``function`` is the option of :data:`WORDS` with its name.
    """
    try:
        function(**vars(parser_of(function).parse(sys.argv[1:])))
    except MilBenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def parser_of(function: Callable[..., None]) -> Parser:
    """Return the parser of the parameters of ``function`` and their defaults."""
    summary = (function.__doc__ or "").partition("\n")[0]
    parser = Parser(f"benchmarks.{function.__name__}", summary)
    for name, parameter in signature(function).parameters.items():
        required = parameter.default is Parameter.empty
        default: dict[str, Any] = {} if required else {"default": parameter.default}
        word = f"--{name.replace('_', '-')}"
        add(parser, word, required=required, options=WORDS, **default)
    return parser


def chosen(option: str, text: str, known: Collection[str]) -> list[str]:
    """Return the names in ``"a,b"``. Raises ``UnknownNameError`` for one that is not ``known``."""
    values = names(f"--{option}", text)
    for value in values:
        if value not in known:
            raise UnknownNameError(option, value, known)
    return values
