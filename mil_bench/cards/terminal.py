"""Cards of one method or one dataset on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from mil_bench.base.config import SearchRange, search_space

if TYPE_CHECKING:
    from mil_bench.base.taxonomy import Taxonomy
    from mil_bench.contract.dataset import DatasetCard
    from mil_bench.contract.method import Ablations, Method
    from mil_bench.extraction.encoders.cards import EncoderCard


def print_method(name: str, method: type[Method], console: Console) -> None:
    """Paper, differences, measured choices, steps, options with ranges, recipe, ablations."""
    paper = method.paper
    console.print(f"[bold]{name}[/]  {escape(paper.title)} ({paper.venue}, {paper.year})")
    console.print(f"  {paper.link}" + (f"   code: {paper.code}" if paper.code else ""))
    for line in paper.differs:
        console.print(f"  - {escape(line)}")
    for line in paper.measured:
        console.print(escape(line), highlight=False)
    for kind, words in (("steps", paper.steps), ("losses", paper.losses)):
        if words:
            console.print(f"{kind}: {escape(', '.join(words))}", highlight=False)
    table = Table("option", "default", "search range", title="options (--set)")
    space = search_space(method.Config)
    for key, field in method.Config.model_fields.items():
        search = space.get(key)
        table.add_row(key, escape(str(field.default)), "" if search is None else _range(search))
    console.print(table)
    recipe = ", ".join(f"{k}={v}" for k, v in method.recipe.items()) or "trainer defaults"
    console.print(f"recipe: {recipe}")
    if method.ablations:
        console.print(_ablations(method.ablations))


def print_dataset(card: DatasetCard, console: Console) -> None:
    """Source, licence, files and every label tree."""
    console.print(f"[bold]{card.name}[/]  {escape(card.title)}  ({card.kind} data)")
    for label, text in (("source", card.source), ("licence", card.licence), ("files", card.files)):
        console.print(f"{label}: {escape(text)}")
    console.print(f"default split: {card.default_split}")
    for name, taxonomy in card.trees.items():
        mark = " (default)" if name == card.default_tree else ""
        console.print(_drawn(f"{name}{mark}", taxonomy))


def print_encoder(card: EncoderCard, console: Console) -> None:
    """What it makes of which tiles, where its weights are, what may be done with them."""
    seen = (
        f"scaled to {card.scaled} px"
        if card.scaled == card.input_size
        else (f"scaled to {card.scaled} px, of which the middle {card.input_size} are seen")
    )
    facts = {
        "features": f"{card.dim}",
        "tiles": f"{card.tile} px at {card.mpp:g} um per pixel, {seen}",
        "normalisation": f"mean {card.mean}, deviation {card.std}",
        "network": f"{card.architecture} of timm {dict(card.arguments) or ''}",
        "weights": card.origin + (", access must be asked for" if card.gated else ""),
        "licence": card.licence,
    }
    console.print(f"[bold]{card.name}[/]  {escape(card.title)}")
    for label, text in facts.items():
        console.print(f"{label}: {escape(text)}", highlight=False)


def _ablations(declared: Ablations) -> Table:
    table = Table("name", "what it is", "overrides", title="what `mil-bench ablate` switches")
    kinds = {
        "component": declared.components,
        "variant": declared.variants,
        "control": declared.controls,
    }
    for kind, switches in kinds.items():
        for name, switch in switches.items():
            changes = ", ".join(f"{key}={value}" for key, value in switch.overrides.items())
            off = "off: " if kind == "component" else ""
            table.add_row(name, f"{kind}: {escape(switch.title)}", escape(off + changes))
    for name in declared.twins:
        table.add_row(name, "twin: trained with the same budget", "")
    return table


def _range(search: SearchRange) -> str:
    ends = f"{search.low} .. {search.high}"
    return (", ".join(map(str, search.choices)) or ends) + search.condition


def _drawn(title: str, taxonomy: Taxonomy) -> Tree:
    root = Tree(escape(title))
    nodes: dict[tuple[str, ...], Tree] = {(): root}
    for path in taxonomy.paths:
        for depth in range(1, len(path) + 1):
            prefix = path[:depth]
            if prefix not in nodes:
                full = taxonomy.titles.get(path[depth - 1], "")
                text = f"{path[depth - 1]}  [dim]{escape(full)}[/]" if full else path[depth - 1]
                nodes[prefix] = nodes[prefix[:-1]].add(text)
    return root
