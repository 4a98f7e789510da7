"""The text of a page, from what the method says of itself."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mil_bench.base.config import search_space
from mil_bench.contract.method import Ablations, Method, MethodConfig

BASE = "abmil"


def page(name: str, method: type[Method], cost: Sequence[str], boards: Sequence[str]) -> str:
    """Everything about one method; ``cost`` and ``boards`` are the lines of those sections."""
    paper = method.paper
    about = [f"# {name}", "", f"{paper.title}. {paper.venue}, {paper.year}. <{_url(paper.link)}>"]
    if paper.code:
        about += ["", f"Official code: {paper.code}."]
    parts: list[tuple[str, Sequence[str]]] = [
        ("What it computes", [of_docstring(method.__doc__), *_figure(name, method)]),
        ("Where it differs, and why", [f"- {line}" for line in paper.differs]),
        ("What was measured", ["```", *paper.measured, "```"] if paper.measured else []),
        ("Options", [of_docstring(method.Config.__doc__), "", *options_table(method.Config)]),
        ("Recipe", [_recipe(method)]),
        ("What `mil-bench ablate` switches", ablations_table(method.ablations)),
        ("Cost", cost),
        ("On the boards", boards),
    ]
    told = [[f"## {title}", "", *lines, ""] for title, lines in parts if lines]
    return "\n".join([*about, "", *(line for part in told for line in part)])


def _figure(name: str, method: type[Method]) -> list[str]:
    if not method.paper.steps:
        return []
    marked = f"Shaded, with a thick outline: what `{BASE}` does not have or do like this."
    caption = "The figures of the other methods mark what is not in this one."
    image = f"![The steps of {name}]({name}.svg)"
    return ["", image, "", caption if name == BASE else marked]


def _recipe(method: type[Method]) -> str:
    settings = [f"`{key}={of_value(value)}`" for key, value in method.recipe.items()]
    return f"{', '.join(settings)}." if settings else "The trainer's defaults."


def _url(link: str) -> str:
    return link.replace("arXiv:", "https://arxiv.org/abs/")


# What can be set of a method, and what its ablations switch, as tables.

_KINDS = {
    int: "whole number",
    float: "number",
    bool: "true, false",
    str: "text",
    types.NoneType: "none",
}


def options_table(config: type[MethodConfig]) -> list[str]:
    """Every option with its default, its values and what a search takes of them."""
    space, rows = search_space(config), []
    for name, field in config.model_fields.items():
        search = space.get(name)
        ends = "" if search is None else f"{search.low} to {search.high}"
        searched = ", ".join(map(of_value, search.choices)) if search and search.choices else ends
        scale = " (log)" if search and search.log else ""
        condition = "" if search is None else search.condition
        default = of_value(field.get_default(call_default_factory=True))
        rows.append([f"`{name}`", default, _values(field), searched + scale + condition])
    return table(["option", "default", "values", "searched"], rows)


def ablations_table(declared: Ablations) -> list[str]:
    """Every switch and twin of ``mil-bench ablate``."""
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
    return table(["name", "kind", "what it is", "settings (of a part: taken out)"], rows)


def _settings(pairs: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"`{key}={of_value(value)}`" for key, value in pairs)


def _values(field: FieldInfo) -> str:
    return ", ".join(dict.fromkeys(_kinds(field.annotation)))


def _kinds(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from map(of_value, get_args(annotation))
    elif get_origin(annotation) in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _kinds(one)
    elif get_args(annotation):  # Annotated
        yield from _kinds(get_args(annotation)[0])
    else:
        yield _KINDS.get(annotation) or str(getattr(annotation, "__name__", annotation))


# Markdown of docstrings, values and tables.


def of_docstring(doc: str | None) -> str:
    """A docstring without its roles and double quotes; names set out in a column become a list."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.cleandoc(doc or ""))
    return re.sub(r"^(`[^`]+`) {2,}", r"- \1: ", text.replace("``", "`"), flags=re.MULTILINE)


def of_value(value: object) -> str:
    """A value as ``--set`` takes it."""
    return (
        value if isinstance(value, str) else json.dumps(value, default=str).replace("null", "none")
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table; none where there are no rows."""
    if not rows:
        return []
    ruled = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in ruled]
