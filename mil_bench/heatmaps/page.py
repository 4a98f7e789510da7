"""``heatmaps/index.html``: every slide of a run that has heatmaps, on one page without scripts.

The pictures are in the folders next to the page, nothing is loaded from the network, and all text
is escaped.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mil_bench.base.atomic import write_text
from mil_bench.base.errors import DataError

SUMMARY, INDEX = "summary.json", "index.html"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem; color: #222; background: #fff }}
section {{ border-top: 1px solid #ddd; margin-top: 2rem; padding-top: .5rem }}
figure {{ display: inline-block; margin: .5rem 1rem .5rem 0; vertical-align: top }}
img {{ max-width: 100%; max-height: 22rem }}
figcaption, .small {{ color: #555; font-size: .85em }}
td, th {{ padding: .15rem .8rem .15rem 0; text-align: left; font-weight: normal }}
</style></head><body>
<h1>{title}</h1>
<p class="small">Patches are coloured by their percentile rank within the slide and, beside it, by
their raw score; dark is high. Blue frames are around patches known to show the class.</p>
{sections}
</body></html>
"""


def write_page(home: Path) -> Path:
    """Write ``index.html`` from the ``summary.json`` of every slide under ``home``; its path."""
    summaries = [(path.parent, _read(path)) for path in sorted(home.rglob(SUMMARY))]
    run = summaries[0][1] if summaries else {"title": "no heatmaps", "run": ""}
    title = escape(f"Heatmaps: {run['title']}, run {run['run']}")
    sections = "\n".join(_section(home, folder, content) for folder, content in summaries)
    write_text(home / INDEX, _PAGE.format(title=title, sections=sections))
    return home / INDEX


def _section(home: Path, folder: Path, content: dict[str, Any]) -> str:
    name = folder.relative_to(home).as_posix()
    leaf = content["probabilities"]["leaf"]
    likely = sorted(leaf, key=leaf.__getitem__, reverse=True)[:3]
    predicted = ", ".join(f"{leaf_class} {leaf[leaf_class]:.0%}" for leaf_class in likely)
    known = f", label {content['label']}" if content["label"] else ""
    label = f"{content['set']} slide{known}, {content['patches']} patches"
    links = [_link(home, folder / file) for file in ("scores.csv", "tiles.geojson")]
    notes = "".join(f'<p class="small">{escape(note)}.</p>' for note in content["notes"])
    figures = [
        _figure(
            home,
            folder / f"{entry['file']}{suffix}.png",
            f"{entry['title']}{words} ({entry['source']})",
        )
        for entry in content["maps"]
        for suffix, words in (("", ""), ("_patches", ", highest and lowest patches"))
    ]
    shared = _figure(home, folder / "hierarchy.png", "Attention of a class and of its children")
    return (
        f"<section><h2>{escape(name)}</h2><p>{escape(label)}. Predicted: {escape(predicted)}. "
        f"{' '.join(filter(None, links))}</p>{notes}{_agreement(content['agreement'])}"
        f"{''.join(figures)}{shared}</section>"
    )


def _agreement(rows: list[dict[str, Any]]) -> str:
    """Own attention against the summed one of the children, a line per class."""
    if not rows:
        return ""
    head = "<tr><th>own against summed children</th><th>cosine</th><th>rank correlation</th>"
    lines = "".join(
        f"<tr><td>{escape(row['class'])}</td>"
        + "".join(f"<td>{_number(row[key])}</td>" for key in ("cosine", "spearman", "top_tenth"))
        + "</tr>"
        for row in rows
    )
    return f"<table>{head}<th>overlap of top tenths</th></tr>{lines}</table>"


def _figure(home: Path, picture: Path, words: str) -> str:
    """A picture with its words; nothing where it was not drawn."""
    if not picture.is_file():
        return ""
    place = quote(picture.relative_to(home).as_posix())  # names of classes may hold any character
    text = escape(words)
    return (
        f'<figure><a href="{place}"><img src="{place}" alt="{text}" loading="lazy"></a>'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _link(home: Path, file: Path) -> str:
    if not file.is_file():
        return ""
    return f'<a href="{quote(file.relative_to(home).as_posix())}">{escape(file.name)}</a>'


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path} ({error}); delete it and draw it again.") from None
    return content
