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
        "Extract features of slides: tissue, tiles, encoder. Completed slides are skipped.",
        "mil_bench.cli.extract:extract",
    ),
    "run": Command(
        "Train and test methods on a dataset. Completed runs are skipped.",
        "mil_bench.cli.run:run",
    ),
    "status": Command(
        "Show the progress of a grid, from any terminal.",
        "mil_bench.cli.status:status",
    ),
    "retry": Command(
        "Rerun failed or interrupted runs as planned.",
        "mil_bench.cli.status:retry",
    ),
    "tune": Command(
        "Search settings of a method on validation slides, then run the default and the best.",
        "mil_bench.cli.tune_and_ablate:tune",
    ),
    "ablate": Command(
        "Remove components of a method one by one, or vary its settings, and compare.",
        "mil_bench.cli.tune_and_ablate:ablate",
    ),
    "leaderboard": Command(
        "Recompute all scores from predictions; write and print the boards.",
        "mil_bench.cli.boards:leaderboard",
    ),
    "protocol": Command(
        "Freeze data, split, folds and seeds of runs as a protocol that others can follow.",
        "mil_bench.cli.submit:protocol",
    ),
    "submit": Command(
        "Pack results of a method into a bundle, check it, and repeat a run of it.",
        "mil_bench.cli.submit:submit",
    ),
    "predict": Command(
        "Predict new slides with trained models, or test them on another dataset.",
        "mil_bench.cli.predict:predict",
    ),
    "heatmap": Command(
        "Draw heatmaps of what the model of a run attends to on a slide.",
        "mil_bench.cli.heatmap:heatmap",
    ),
    "localise": Command(
        "Score how well attention finds the patches of known class.",
        "mil_bench.cli.heatmap:localise",
    ),
    "curves": Command(
        "Draw the losses and validation scores of runs by epoch.",
        "mil_bench.cli.boards:curves",
    ),
    "compare": Command(
        "Compare two methods: scores, classes, slides that they classify differently.",
        "mil_bench.cli.boards:compare",
    ),
    "score": Command(
        "Score files of predictions with the code of the leaderboards, and compare models.",
        "mil_bench.cli.boards:score",
    ),
    "import": Command(
        "Put predictions made elsewhere on the boards, checked against a split.",
        "mil_bench.cli.exchange:import_runs",
    ),
    "export": Command(
        "Write the model of a run as safetensors, TorchScript or ONNX, with a model card.",
        "mil_bench.cli.export:export",
    ),
    "list": Command("List methods, datasets and encoders.", "mil_bench.cli.listing:list_names"),
    "show": Command(
        "Show a method's paper, settings and ablations, or a dataset's source, trees and files.",
        "mil_bench.cli.listing:show",
    ),
    "new": Command(
        "Write a file with a new method that runs immediately.", "mil_bench.cli.listing:new"
    ),
    "doctor": Command(
        "Check versions, devices, disks, data and cache, with advice for each problem.",
        "mil_bench.cli.check:doctor",
    ),
    "check": Command(
        "Check that a method meets all requirements, or that a dataset is ready to run.",
        "mil_bench.cli.check:check",
    ),
    "data": Command("Pack, split and simulate data.", "mil_bench.cli.data:data"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exit code 0 only if everything requested is done."""
    words = list(sys.argv[1:] if argv is None else argv)
    # --debug may come anywhere, before the command or among its options
    debug = "--debug" in words
    sys.exit(_run([word for word in words if word != "--debug"], debug))


def _run(words: list[str], debug: bool) -> int:
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        print("interrupted; rerun the same command to resume.", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells report it
    except MilBenchError as error:
        if debug:  # a traceback on request
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of the pipe has enough
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
    parser.add_argument("--debug", action="store_true", help="Show tracebacks, with any command.")
    return dispatch(parser, COMMANDS, words)


def _describe(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    return f"{error.strerror}:{where}; nothing is lost. Fix the cause and rerun the same command."
