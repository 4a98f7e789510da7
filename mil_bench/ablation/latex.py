"""A component study as the table that papers print (packages booktabs and amssymb)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mil_bench.ablation.metrics import title
from mil_bench.ablation.study import Study, StudyRow
from mil_bench.ablation.text import grid_words, marks, signed
from mil_bench.ablation.variants import Group
from mil_bench.boards.board import BoardRow, Spread
from mil_bench.boards.sheet import shown
from mil_bench.evaluation.inference.retraining import PairedDifference
from mil_bench.evaluation.metrics import Score

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "–": "--",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}
_PATTERN = re.compile("|".join(map(re.escape, _SPECIAL)))


def study_latex(study: Study, level: str, metrics: Sequence[Score]) -> str:
    """A ``table*`` of one level; rows lacking runs carry a star, explained under the table."""
    parts = list(study.declared.components)
    columns = f"@{{}}l{'c' * len(parts)}{'rl' * len(metrics)}@{{}}"
    heads = [rf"\multicolumn{{2}}{{c}}{{{escape(title(m))}}}" for m in metrics]
    below = [r"mean $\pm$ sd", r"$\Delta$ [95\,\%]"] * len(metrics)
    empty = [""] * (len(parts) + 1)
    lines = [
        "% packages: booktabs, amssymb",
        r"\begin{table*}",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_caption(study, level)}}}",
        r"\smallskip",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _row([*empty, *heads]),
        _rules(len(parts) + 2, len(metrics)),
        _row(["variant", *map(escape, parts), *below]),
        *_body(study, metrics),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return _PATTERN.sub(lambda found: _SPECIAL[found.group()], text)


def _body(study: Study, metrics: Sequence[Score]) -> list[str]:
    lines, group = [], None
    for row in study.rows:
        if row.variant.group is not group:
            group = row.variant.group
            lines.append(r"\midrule")
            if group is Group.TWIN:
                span = 1 + len(study.declared.components) + 2 * len(metrics)
                lines.append(
                    _row([rf"\multicolumn{{{span}}}{{@{{}}l}}{{\emph{{{escape(group)}}}}}"])
                )
        lines.append(_line(study, row, metrics))
    return lines


def _line(study: Study, row: StudyRow, metrics: Sequence[Score]) -> str:
    cells = [escape(row.variant.title), *marks(study, row, r"\checkmark", "", "--")]
    for metric in metrics:
        found = study.estimate(row, metric)
        cells += [_mean(found.spread, row.cells, metric), _difference(found.difference, metric)]
    return _row(cells)


def _mean(spread: Spread, cells: BoardRow, metric: Score) -> str:
    if not spread.n:
        return "--"
    star = "" if spread.n == len(cells.asked) else "^{*}"
    sd = "" if spread.sd_folds != spread.sd_folds else rf" \pm {shown(spread.sd_folds, metric)}"
    return f"${shown(spread.mean, metric)}{star}{sd}$"


def _difference(difference: PairedDifference, metric: Score) -> str:
    if difference.mean != difference.mean:
        return "--"
    mean = f"${signed(difference.mean, metric)}$"
    if difference.low != difference.low:
        return mean
    return f"{mean} [${signed(difference.low, metric)}$, ${signed(difference.high, metric)}$]"


def _caption(study: Study, level: str) -> str:
    spec = study.example
    told = (
        f"Ablation of {study.method} on {spec.dataset} ({spec.kind}; {spec.encoder} features, "
        f"split {spec.split}, {grid_words(study.rows[0].cells)}), {level} level, fractions "
        "times 100. Mean ± sd over folds of the mean over seeds; Δ: paired difference to the full "
        "method with its 95 % interval (corrected resampled t over folds, Nadeau and Bengio 2003), "
        "not corrected for the number of rows."
    )
    lacking = [
        f"{row.variant.title} {row.cells.coverage}" for row in study.rows if not row.cells.complete
    ]
    star = f" *: fewer runs than asked ({'; '.join(lacking)})." if lacking else ""
    return escape(told + star)


def _rules(first: int, count: int) -> str:
    starts = range(first, first + 2 * count, 2)
    return "".join(rf"\cmidrule(lr){{{start}-{start + 1}}}" for start in starts)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
