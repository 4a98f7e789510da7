"""Entry point: assemble the commands, turn errors into one sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from mil_bench import __version__
from mil_bench.cli.data import data_app
from mil_bench.cli.leaderboard import leaderboard, score
from mil_bench.cli.listing import list_names, show
from mil_bench.cli.run import run
from mil_bench.errors import MilBenchError

app = typer.Typer(
    name="mil-bench",
    help="Compare multiple-instance learning methods on whole slide images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run)
app.command("leaderboard")(leaderboard)
app.command("score")(score)
app.command("list")(list_names)
app.command("show")(show)
app.add_typer(data_app, name="data")


@app.callback(invoke_without_command=True)
def top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Compare multiple-instance learning methods on whole slide images."""
    if version:
        print(f"mil-bench {__version__}")
        raise typer.Exit


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; exit code 0 only if everything asked for is done."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    # --debug may stand anywhere; the program itself only knows it before the command
    arguments = [a for a in arguments if a != "--debug"]
    sys.exit(_dispatch(arguments, debug))


def _dispatch(arguments: list[str], debug: bool) -> int:
    try:
        result = typer.main.get_command(app)(
            arguments, prog_name="mil-bench", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
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
    except Exception as error:
        # typer's own usage errors; the class lives in different modules in different versions
        message = getattr(error, "format_message", None)
        if message is None or debug:
            raise
        print(f"error: {message()} See `mil-bench --help`.", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))


def _describe(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    return f"{error.strerror}:{where}; nothing was lost, repair it and give the same command again."
