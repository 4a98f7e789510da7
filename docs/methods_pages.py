"""Write ``docs/methods/``: a page and a figure per method of the package, and a table of all.

``python -m docs.methods_pages`` makes them of the methods' own docstrings, cards and options, of
the costs in ``docs/methods.md`` and of the committed boards. A test compares them with what is
committed.
"""

from __future__ import annotations

import csv
import json
import re
import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from docs.steps_figure import steps_figure
from mil_bench.config import search_space
from mil_bench.method import Method
from mil_bench.methods import METHODS
from mil_bench.nn.heads.method import HeadedMethod
from mil_bench.registry import OURS

DOCS = Path(__file__).resolve().parent
BOARDS = DOCS.parent / "leaderboards"
COMMAND = "python -m docs.methods_pages"
BASE = "abmil"
SCORES = {
    "coverage": "runs",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
    "macro_f1": "macro F1",
}


def pages() -> dict[str, str]:
    """File name -> text: pages and figures of all methods of the package, and ``README.md``."""
    methods = {entry.name: METHODS.get(entry.name) for entry in METHODS if entry.origin == OURS}
    return {
        "README.md": overview(methods),
        **{f"{name}.md": page(name, method) for name, method in methods.items()},
        **{
            f"{name}.svg": steps_figure(method.paper, METHODS.get(BASE).paper)
            for name, method in methods.items()
            if method.paper.steps
        },
    }


def write() -> None:
    """Write every file; one that no method has any more is removed."""
    folder, made = DOCS / "methods", pages()
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(made)} files written under {folder}")


def overview(methods: dict[str, type[Method]]) -> str:
    """The table of all methods."""
    measured, costs = _costs()
    rows = [
        [
            f"[`{name}`]({name}.md)",
            summary,
            f"{method.paper.venue}, {method.paper.year}",
            *costs.get(name, ["", ""])[:2],
            "yes" if issubclass(method, HeadedMethod) else "",
            "order" if method.order_dependent else "coordinates" if method.needs_coords else "",
        ]
        for name, method in methods.items()
        for summary in [next(entry.summary for entry in METHODS if entry.name == name)]
    ]
    header = ["method", "what it is", "paper", *measured[:2], "[heads](../heads.md)", "needs"]
    return "\n".join(
        [
            "# All methods",
            "",
            "A page each, made of the code. What methods have in common is in",
            "[methods.md](../methods.md), how to add one in [add-a-method.md](../add-a-method.md).",
            "*Needs*: the order of patches matters, or their coordinates must be there.",
            "",
            *_table(header, rows),
            "",
            f"`{COMMAND}` writes these pages.",
            "",
        ]
    )


def page(name: str, method: type[Method]) -> str:
    """Everything about one method."""
    paper = method.paper
    about = [f"# {name}", "", f"{paper.title}. {paper.venue}, {paper.year}. <{_url(paper.link)}>"]
    if paper.code:
        about += ["", f"Official code: {paper.code}."]
    parts: list[tuple[str, Sequence[str]]] = [
        ("What it computes", [_markdown(method.__doc__), *_figure(name, method)]),
        ("Where it differs, and why", [f"- {line}" for line in paper.differs]),
        ("What was measured", ["```", *paper.measured, "```"] if paper.measured else []),
        ("Options", [_markdown(method.Config.__doc__), "", *_options(method)]),
        ("Recipe", [_recipe(method)]),
        ("What `mil-bench ablate` switches", _ablations(method)),
        ("Cost", _cost(name)),
        ("On the committed boards", list(_boards(name))),
    ]
    told = [[f"## {title}", "", *lines, ""] for title, lines in parts if lines]
    return "\n".join([*about, "", *(line for part in told for line in part)])


def _figure(name: str, method: type[Method]) -> list[str]:
    if not method.paper.steps:
        return []
    marked = (
        f"Shaded, with a thick outline: what [`{BASE}`]({BASE}.md) does not have or do like this."
    )
    caption = "The figures of the other methods mark what is not in this one."
    image = f"![The steps of {name}]({name}.svg)"
    return ["", image, "", caption if name == BASE else marked]


def _options(method: type[Method]) -> list[str]:
    space, rows = search_space(method.Config), []
    for name, field in method.Config.model_fields.items():
        search = space.get(name)
        ends = "" if search is None else f"{search.low} to {search.high}"
        searched = ", ".join(map(_text, search.choices)) if search and search.choices else ends
        scale = " (log)" if search and search.log else ""
        rows.append([f"`{name}`", _text(field.default), _values(field), searched + scale])
    return _table(["option", "default", "values", "searched"], rows)


def _values(field: FieldInfo) -> str:
    return ", ".join(dict.fromkeys(_kinds(field.annotation)))


def _kinds(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from map(_text, get_args(annotation))
    elif get_origin(annotation) in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _kinds(one)
    elif get_args(annotation):  # Annotated
        yield from _kinds(get_args(annotation)[0])
    else:
        yield {int: "whole number", float: "number", bool: "true, false"}.get(annotation, "none")


def _recipe(method: type[Method]) -> str:
    settings = [f"`{key}={_text(value)}`" for key, value in method.recipe.items()]
    return f"{', '.join(settings)}." if settings else "The trainer's defaults."


def _ablations(method: type[Method]) -> list[str]:
    declared = method.ablations
    kinds = {
        "part": declared.components,
        "variant": declared.variants,
        "control": declared.controls,
    }
    rows = [
        [f"`{name}`", kind, switch.title, _settings(switch.overrides.items())]
        for kind, switches in kinds.items()
        for name, switch in switches.items()
    ]
    rows += [[f"`{twin}`", "twin", "trained with the same budget", ""] for twin in declared.twins]
    return _table(["name", "kind", "what it is", "settings (of a part: taken out)"], rows)


def _settings(pairs: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"`{key}={_text(value)}`" for key, value in pairs)


def _costs() -> tuple[list[str], dict[str, list[str]]]:
    """What is measured in ``docs/methods.md``; method -> its numbers there."""
    text = (DOCS / "methods.md").read_text(encoding="utf-8").partition("## Cost")[2]
    rows = [_cells(line) for line in text.splitlines() if line.startswith("|")]
    return rows[0][1:], {row[0]: row[1:] for row in rows[2:]}


def _cost(name: str) -> list[str]:
    measured, costs = _costs()
    if name not in costs:
        return []
    how = "How it was measured: [methods.md](../methods.md#cost)."
    return [*_table(measured, [costs[name]]), "", how]


def _boards(name: str) -> Iterator[str]:
    for file in sorted(BOARDS.glob("*/**/overall.csv")):
        with file.open(newline="", encoding="utf-8") as lines:
            own = [row for row in csv.DictReader(lines) if row["method"] == name]
        if own:
            where = file.parent.relative_to(DOCS.parent).as_posix()
            known = {key: title for key, title in SCORES.items() if key in own[0]}
            rows = [[row.get("variant", ""), *(_short(row[key]) for key in known)] for row in own]
            yield from [f"[`{where}`](../../{where}):", ""]
            yield from [*_table(["variant", *known.values()], rows), ""]


def _short(number: str) -> str:
    return f"{float(number):.3f}" if re.fullmatch(r"\d+\.\d+", number) else number


def _markdown(doc: str | None) -> str:
    """A docstring as Markdown."""
    import inspect

    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.cleandoc(doc or ""))
    return text.replace("``", "`")


def _url(link: str) -> str:
    return link.replace("arXiv:", "https://arxiv.org/abs/")


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value).replace("null", "none")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    ruled = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in ruled]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


if __name__ == "__main__":
    write()
