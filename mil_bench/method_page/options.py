"""What can be set of a method, and what its ablations switch, as tables."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mil_bench.ablation.declaration import Ablations
from mil_bench.config import search_space
from mil_bench.method import MethodConfig
from mil_bench.method_page.markdown import of_value, table

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
