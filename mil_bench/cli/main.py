"""Entry point: find the command, turn errors into one sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mil_bench.base.errors import MilBenchError
from mil_bench.base.version import __version__
from mil_bench.cli.parser import Command, Parser, dispatch

SUMMARY = "Compare multiple-instance learning methods on whole slide images."
COMMANDS = {
    "extract": Command(
        "Make features of slides: tissue, tiles, an encoder; what is done already is skipped.",
        "mil_bench.cli.extract:extract",
    ),
    "run": Command(
        "Train and test methods on a dataset; what is done already is skipped.",
        "mil_bench.cli.run:run",
    ),
    "status": Command(
        "Show how far a grid is, from any terminal; disturbs nothing.",
        "mil_bench.cli.status:status",
    ),
    "retry": Command(
        "Make failed or interrupted runs again, as their grid was planned.",
        "mil_bench.cli.status:retry",
    ),
    "tune": Command(
        "Search a method's settings by validation, then run its default and its best.",
        "mil_bench.cli.tune_and_ablate:tune",
    ),
    "ablate": Command(
        "Take a method's parts out one by one, or vary its settings, and table what it costs.",
        "mil_bench.cli.tune_and_ablate:ablate",
    ),
    "leaderboard": Command(
        "Score every run again from its predictions; write and print the boards.",
        "mil_bench.cli.boards:leaderboard",
    ),
    "heatmap": Command(
        "Draw where the model of a run looked on a slide.", "mil_bench.cli.heatmap:heatmap"
    ),
    "localise": Command(
        "Score how well attention finds the patches whose class is known.",
        "mil_bench.cli.heatmap:localise",
    ),
    "curves": Command(
        "Draw the losses and validation scores of runs, epoch by epoch.",
        "mil_bench.cli.boards:curves",
    ),
    "compare": Command(
        "Show two methods beside each other: scores, classes, slides decided differently.",
        "mil_bench.cli.boards:compare",
    ),
    "score": Command(
        "Score predictions made anywhere by the code that makes the leaderboards.",
        "mil_bench.cli.boards:score",
    ),
    "list": Command("List methods, datasets and encoders.", "mil_bench.cli.listing:list_names"),
    "show": Command(
        "Show a method's paper, options and ablations, or a dataset's source, trees and files.",
        "mil_bench.cli.listing:show",
    ),
    "new": Command(
        "Begin a method of your own with a file that works at once.", "mil_bench.cli.listing:new"
    ),
    "doctor": Command(
        "Check versions, devices, disks, data and cache; advice for each problem.",
        "mil_bench.cli.check:doctor",
    ),
    "check": Command(
        "Check that a method keeps its promises, or that a dataset is ready to run.",
        "mil_bench.cli.check:check",
    ),
    "data": Command("Check, pack, split and simulate data.", "mil_bench.cli.data:data"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exit code 0 only if everything asked for is done."""
    words = list(sys.argv[1:] if argv is None else argv)
    # --debug may stand anywhere: before the command, or after it among its own options
    debug = "--debug" in words
    sys.exit(_obey([word for word in words if word != "--debug"], debug))


def _obey(words: list[str], debug: bool) -> int:
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        print("interrupted; the same command continues where it stopped.", file=sys.stderr)
        return 130
    except MilBenchError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 0
    except OSError as error:
        if debug or error.strerror is None:
            raise
        print(f"error: {_describe(error)}", file=sys.stderr)
        return 1


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["--version"]:
        print(f"mil-bench {__version__}")
        return 0
    parser = Parser("mil-bench", SUMMARY, usage="mil-bench COMMAND ...")
    parser.add_argument("--version", action="store_true", help="Print the version.")
    parser.add_argument("--debug", action="store_true", help="Show tracebacks; with any command.")
    return dispatch(parser, COMMANDS, words)


def _describe(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    return f"{error.strerror}:{where}; nothing was lost, repair it and give the same command again."
