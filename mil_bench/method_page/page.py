"""The text of a page, from what the method says of itself."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.method import Method
from mil_bench.method_page.markdown import of_docstring, of_value
from mil_bench.method_page.options import ablations_table, options_table

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
