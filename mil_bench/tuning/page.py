"""The same pictures to move and to hover over: one HTML file that needs no network."""

from __future__ import annotations

import html
import warnings
from pathlib import Path

from optuna.study import Study

from mil_bench.atomic import write_text
from mil_bench.evaluation.metrics_table import facts
from mil_bench.tuning.search import Search

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
body > div {{ overflow-x: auto }}
</style>
</head><body><h1>{title}</h1><p>{about}</p>
{plots}
</body></html>
"""


def write_page(search: Search, study: Study, path: Path, *, with_importance: bool) -> Path | None:
    """Optuna's own plots in one file; ``None`` where plotly is not installed (extra ``tune``)."""
    try:
        import plotly  # noqa: F401
    except ImportError:
        return None
    from optuna import visualization as draw

    name = f"validation {facts(search.rules.objective).title}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental, and of few trials
        figures = [
            draw.plot_optimization_history(study, target_name=name),
            draw.plot_slice(study, target_name=name),
            draw.plot_parallel_coordinate(study, target_name=name),
        ]
        if with_importance:
            figures.insert(1, draw.plot_param_importances(study, target_name=name))
    plots = [
        figure.to_html(full_html=False, include_plotlyjs=i == 0)  # the library once, inside
        for i, figure in enumerate(figures)
    ]
    about = f"Study {search.name}; objective: {name}, {search.rules.direction}."
    write_text(
        path,
        _PAGE.format(
            title=html.escape(search.title), about=html.escape(about), plots="\n".join(plots)
        ),
    )
    return path
