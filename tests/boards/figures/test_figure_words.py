"""Names stay text, whatever stands in them, and stay apart."""

from __future__ import annotations

import warnings
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from drawn import grid_of, reports_of, words
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.figures import overview
from mil_bench.boards.figures.write import FIGURES
from mil_bench.pictures.style import LONGEST, names, plain, short

HOSTILE = [
    "$x$", "a_b^c", "\\alpha", r"\$5$", "$$", "$", "</script><img onerror=alert(1)>", "a & b < c",
    "50 %", "-->", "tab\tand\nline",
]  # fmt: skip


def svg_words(name, tmp_path):
    figure = Figure()
    figure.text(0, 0.5, plain(name))
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(tmp_path / "x.svg")
    root = ElementTree.parse(tmp_path / "x.svg").getroot()
    return "".join(t for e in root.iter("{http://www.w3.org/2000/svg}text") for t in e.itertext())


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_drawn_as_it_is(name, tmp_path):
    assert svg_words(name, tmp_path) == " ".join(name.split())


@given(st.text(max_size=60))
def test_no_name_becomes_a_formula(name):
    assert not is_math_text(plain(name))


def test_characters_without_a_glyph_become_their_code():
    assert plain("肿瘤") == "\\u80bf\\u7624"
    assert plain("Ünïcode → ♥") == "Ünïcode → ♥"


@given(st.lists(st.text("ab$肿", max_size=80), unique=True, max_size=6))
def test_different_names_stay_different_and_short(labels):
    labels = list(dict.fromkeys(" ".join(label.split()) for label in labels))
    assert len(set(names(labels).values())) == len(labels)


def test_long_names_keep_both_ends():
    name = "an-extremely-long-method-name-that-somebody-gave-v2"
    assert len(short(name)) == LONGEST
    assert short(name).startswith("an-extremely-long")
    assert short(name).endswith("gave-v2")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    tree = Taxonomy.from_tree(
        "$t$", {"$a_b$": ["N\\o", "肿瘤"], "</script>": ["ADH_1^2", "very " * 20 + "long"]}
    )
    methods = ("$m_1$", "肿", "瘤", "x" * 90, "x" * 91)
    heads = {"$m_1$": ("coarse",)}
    return reports_of(grid_of(tmp_path_factory.mktemp("h"), methods, tree, seeds=1, heads=heads))[0]


@pytest.mark.parametrize("name", ["overview", *FIGURES])
def test_no_text_of_a_figure_is_a_formula_or_lacks_a_glyph(hostile, name, tmp_path):
    figure = {"overview": overview.draw, **FIGURES}[name](hostile)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(tmp_path / "x.png", dpi=30)
    assert not any(is_math_text(word) for word in words(figure))
