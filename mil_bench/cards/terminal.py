"""Cards of methods, datasets and encoders on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from mil_bench.contract.card import MethodCard, MethodChange, Setting, as_set

if TYPE_CHECKING:
    from mil_bench.base.taxonomy import Taxonomy
    from mil_bench.contract.dataset import DatasetCard
    from mil_bench.extraction.encoders.cards import EncoderCard


def print_method(card: MethodCard, console: Console) -> None:
    """Print paper, differences, measured choices, steps, settings, recipe and ablations."""
    paper = card.paper
    console.print(f"[bold]{card.name}[/]  {escape(paper.title)} ({paper.venue}, {paper.year})")
    console.print(f"  {paper.link}" + (f"   code: {paper.code}" if paper.code else ""))
    for line in paper.differs:
        console.print(f"  - {escape(line)}")
    for line in paper.measured:
        console.print(escape(line), highlight=False)
    facts = {
        "steps": paper.steps,
        "losses": paper.losses,
        "heads": card.heads,
        "needs": (card.needs,) if card.needs else (),
    }
    for kind, words in facts.items():
        if words:
            console.print(f"{kind}: {escape(', '.join(words))}", highlight=False)
    console.print(_settings(card.settings))
    console.print(f"recipe: {_pairs(card.recipe) or 'the trainer defaults'}", highlight=False)
    if card.changes:
        console.print(_changes(card.changes))


def _settings(settings: Sequence[Setting]) -> Table:
    table = Table("setting", "default", "values", "searched", title="settings (--set)")
    for setting in settings:
        cells = (as_set(setting.default), ", ".join(setting.values), setting.searched)
        table.add_row(setting.name, *map(escape, cells))
    return table


def _changes(changes: Sequence[MethodChange]) -> Table:
    table = Table("name", "kind", "what it is", "settings", title="`mil-bench ablate` changes")
    for change in changes:
        off = "off: " if change.kind == "component" else ""
        cells = (change.title, off + _pairs(change.overrides))
        table.add_row(change.name, change.kind, *map(escape, cells))
    return table


def _pairs(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={as_set(value)}" for key, value in settings.items())


def print_dataset(card: DatasetCard, console: Console) -> None:
    """Print source, licence, files and every label tree."""
    console.print(f"[bold]{card.name}[/]  {escape(card.title)}  ({card.kind} data)")
    for label, text in (("source", card.source), ("licence", card.licence), ("files", card.files)):
        console.print(f"{label}: {escape(text)}")
    console.print(f"default split: {card.default_split}")
    for name, taxonomy in card.trees.items():
        mark = " (default)" if name == card.default_tree else ""
        console.print(_tree(f"{name}{mark}", taxonomy))


def print_encoder(card: EncoderCard, console: Console) -> None:
    """Print features, tiles, network, weights and licence."""
    scaling = (
        f"scaled to {card.scaled} px"
        if card.scaled == card.input_size
        else (f"scaled to {card.scaled} px, of which the central {card.input_size} are used")
    )
    facts = {
        "features": f"{card.dim}",
        "tiles": f"{card.tile} px at {card.mpp:g} um per pixel, {scaling}",
        "normalisation": f"mean {card.mean}, deviation {card.std}",
        "network": f"{card.architecture} of timm {dict(card.arguments) or ''}",
        "weights": card.origin + (", access must be requested" if card.gated else ""),
        "licence": card.licence,
    }
    console.print(f"[bold]{card.name}[/]  {escape(card.title)}")
    for label, text in facts.items():
        console.print(f"{label}: {escape(text)}", highlight=False)


def _tree(heading: str, taxonomy: Taxonomy) -> Tree:
    root = Tree(escape(heading))
    nodes: dict[tuple[str, ...], Tree] = {(): root}
    for path in taxonomy.paths:
        for depth in range(1, len(path) + 1):
            prefix = path[:depth]
            if prefix not in nodes:
                title = taxonomy.titles.get(path[depth - 1], "")
                text = f"{path[depth - 1]}  [dim]{escape(title)}[/]" if title else path[depth - 1]
                # A prefix of every path is there before its longer ones.
                nodes[prefix] = nodes[prefix[:-1]].add(text)
    return root
