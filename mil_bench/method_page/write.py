"""Writing the page of a method, with its figure and what it costs."""

from __future__ import annotations

from pathlib import Path

from mil_bench.atomic import write_text
from mil_bench.contracts.culprit import place_of
from mil_bench.errors import MilBenchError, RunError
from mil_bench.method import Method
from mil_bench.method_page import cost
from mil_bench.method_page.boards import board_rows
from mil_bench.method_page.markdown import table
from mil_bench.method_page.page import BASE, page
from mil_bench.method_page.steps_figure import steps_figure
from mil_bench.methods import METHODS

MEASURED = (
    "Measured for this page: default options, 1,024 features, seven classes, one bag. FLOP are "
    "those of products and convolutions in a forward pass; growth is the exponent of N in all FLOP "
    "between the two largest bags."
)


def write_page(name: str, method: type[Method], out: Path, boards: Path) -> list[Path]:
    """Write ``<name>.md``, and ``<name>.svg`` where the card has steps, into ``out``; the paths.

    Raises ``UsageError`` for steps that do not fit their boxes and ``RunError`` for a method that
    cannot score the bags which its cost is counted on.
    """
    files = {}
    if method.paper.steps:
        files[f"{name}.svg"] = steps_figure(method.paper, METHODS.get(BASE).paper)
    files[f"{name}.md"] = page(name, method, _cost(name, method), _boards(name, boards, out))
    out.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        write_text(out / file, text)
    return [out / file for file in files]


def _boards(name: str, boards: Path, out: Path) -> list[str]:
    return list(board_rows(name, boards.resolve(), out.resolve()))


def _cost(name: str, method: type[Method]) -> list[str]:
    try:
        numbers = cost.cells(method)
    except MilBenchError:
        raise
    except Exception as error:
        raise RunError(
            f"the cost of {name} cannot be counted: {type(error).__name__}: "
            f"{' '.join(str(error).split())} ({place_of(error)}); `mil-bench check method` says "
            "more."
        ) from error
    return [*table(cost.HEADER, [numbers]), "", MEASURED]
