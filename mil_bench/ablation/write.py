"""Studies as files: CSV, a Markdown page, LaTeX and a picture, all from the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mil_bench.ablation.figure import study_figure
from mil_bench.ablation.latex import study_latex
from mil_bench.ablation.study import Study
from mil_bench.ablation.tables import study_table
from mil_bench.ablation.text import notes, study_sheets, verdicts
from mil_bench.ablation.vary import ENCODER, Varied
from mil_bench.ablation.vary_figure import vary_figure
from mil_bench.ablation.vary_tables import vary_notes, vary_sheets, vary_table
from mil_bench.base.atomic import write_text
from mil_bench.base.errors import DataError
from mil_bench.boards.formats.csv_files import to_csv
from mil_bench.boards.formats.folder import safe_name
from mil_bench.boards.formats.markdown import escape, sheet_markdown
from mil_bench.boards.sheet import Sheet
from mil_bench.contract.spec import RunSpec
from mil_bench.pictures.style import save

PICTURE = "differences.png"
HEAT_MAP = "sensitivity.png"
_READ = (
    "Fractions times 100. Mean ± sd over folds of the mean over seeds. Δ is the paired difference "
    "to the {} with its 95 % interval: the corrected resampled t over folds, seeds averaged within "
    "each (Nadeau and Bengio 2003). * fewer runs than asked. Every number with its run keys is in "
    "{}."
)


def write_study(study: Study, out: Path) -> Path:
    """Write ``ablation.csv``, ``README.md``, ``ablation_<level>.tex`` and a picture.

    The folder is ``<out>/<kind>/<dataset>/<encoder>/<split>/<method>/``, which is returned. The
    same runs give the same bytes. Raises ``DataError`` when it cannot be written.
    """
    texts = {
        "ablation.csv": to_csv(study_table(study)),
        "README.md": _page(
            f"Ablation of {study.method}: {_data(study.example)}",
            PICTURE,
            study_sheets(study),
            _READ.format("full method", "ablation.csv"),
            ("What it shows", verdicts(study)),
            ("Read with care", notes(study)),
        ),
        **{
            f"ablation_{safe_name(level)}.tex": study_latex(study, level, metrics)
            for level, metrics in study.levels.items()
        },
    }
    folder = _home(study.example, out, study.example.encoder) / safe_name(study.method)
    return _write(folder, texts, {PICTURE: study_figure(study)} if study.rows[1:] else {})


def write_varied(varied: Varied, out: Path) -> Path:
    """Write ``sensitivity.csv``, ``README.md`` and a picture; the folder, which is returned.

    It lies in that of :func:`write_study` and is named after the fields.
    """
    spec = varied.example
    texts = {
        "sensitivity.csv": to_csv(vary_table(varied)),
        "README.md": _page(
            f"Sensitivity of {spec.method}: {_data(spec)}",
            HEAT_MAP,
            vary_sheets(varied),
            _READ.format("default", "sensitivity.csv"),
            ("Read with care", vary_notes(varied)),
        ),
    }
    fields = [axis.key for axis in varied.axes]
    encoder = "encoders" if ENCODER in fields else spec.encoder
    folder = (
        _home(spec, out, encoder) / safe_name(spec.method) / safe_name(f"vary-{'-'.join(fields)}")
    )
    return _write(folder, texts, {HEAT_MAP: vary_figure(varied)})


def _data(spec: RunSpec) -> str:
    return f"{spec.dataset}, {spec.encoder}, {spec.split} ({spec.kind})"


def _home(spec: RunSpec, out: Path, encoder: str) -> Path:
    parts = (spec.kind, spec.dataset, encoder, spec.split)
    return out.joinpath(*map(safe_name, parts))


def _page(
    title: str, picture: str, sheets: Sequence[Sheet], how: str, *lists: tuple[str, Sequence[str]]
) -> str:
    parts = [f"# {escape(title)}", f"![{escape(title)}]({picture})"]
    for sheet in sheets:
        parts += [f"## {escape(sheet.title.capitalize())}", sheet_markdown(sheet)]
    parts.append(escape(how))
    for heading, lines in lists:
        if lines:
            parts += [f"## {heading}", "\n".join(f"- {escape(line)}" for line in lines)]
    return "\n\n".join(parts) + "\n"


def _write(folder: Path, texts: dict[str, str], pictures: dict[str, Figure]) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_text(folder / name, text)
        for name, figure in pictures.items():
            save(figure, folder / name)
    except OSError as error:
        raise DataError(
            f"cannot write {folder} ({error.strerror}); choose another --out folder."
        ) from None
    return folder
