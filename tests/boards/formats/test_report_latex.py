"""LaTeX of reports: names print as they are written, and every table compiles."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest

from mil_bench.boards.formats.grid import grids_of
from mil_bench.boards.formats.latex import escape, grids_latex


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("lr<1e-3", r"lr\textless{}1e-3"),
        ("a > b | c", r"a \textgreater{} b \textbar{} c"),
        ("50 % & #1_a", r"50 \% \& \#1\_a"),
        (r"\input{x}~^$", r"\textbackslash{}input\{x\}\textasciitilde{}\textasciicircum{}\$"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ("''`,,", r"'{}'\textasciigrave{},{},"),
        ('"a"', r"{\ttfamily\char34}a{\ttfamily\char34}"),
        ("1–2 — …", r"1--2 --- \ldots{}"),
        ("−±×·", r"$-$$\pm$$\times$$\cdot$"),
        ("≤≥→↑↓Δ✓", r"$\leq$$\geq$$\rightarrow$$\uparrow$$\downarrow$$\Delta$$\checkmark$"),
        ("two\n\nlines\tend", "two lines end"),
        (
            "plain, it's (1/2) [a] @ b; c: d! e? f* g+ h=",
            "plain, it's (1/2) [a] @ b; c: d! e? f* g+ h=",
        ),
    ],
)
def test_every_special_character_is_escaped_for_latex(text, latex):
    assert escape(text) == latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_accepts_every_character_of_the_keyboard_and_of_our_words(tmp_path):
    text = "".join(map(chr, range(33, 127))) + " – — … − ± × · ≤ ≥ → ↑ ↓ Δ ✓ a--b '' ,, << ?`"
    source = r"\documentclass{article}\usepackage{amssymb}\begin{document}"
    (tmp_path / "all.tex").write_text(f"{source}\\textbf{{{escape(text)}}}\\end{{document}}")
    command = ["pdflatex", "-halt-on-error", "-draftmode", "all.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_names_cannot_run_latex(report):
    (table, *_), row = report.tables, report.table("overall").rows[0]
    evil = replace(row, method=r"\input{x} 5% & $a_b$ #~^")
    changed = replace(report, tables=(replace(table, rows=(evil,)),))
    line = grids_latex(changed, grids_of(changed)).split("\\midrule\n")[1].splitlines()[0]
    assert line.startswith(
        r"\textbackslash{}input\{x\} 5\% \& \$a\_b\$ \#\textasciitilde{}\textasciicircum{} & 1"
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_of_every_table_compiles(folder, tmp_path):
    texts = sorted(folder.glob("*.tex"))
    names = [f"\\input{{{path}}}" for path in texts]
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}"
        + "\n".join(names)
        + "\\end{document}"
    )
    made = subprocess.run(
        ["pdflatex", "-halt-on-error", "-draftmode", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout[-600:]
    assert "Overfull \\hbox" not in made.stdout
