"""Methods from outside: the same rights, and one sentence for whatever is wrong with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_requests import PLUGIN

from mil_bench.cli.main import main
from mil_bench.datasets import DATASETS
from mil_bench.methods import METHODS

HEAD = """\
import torch
from torch import nn

from mil_bench.method import Method, MethodConfig, Output, PaperCard
from mil_bench.methods import METHODS
from mil_bench.nn.order import needed_coords
from mil_bench.nn.segment import segment_mean


class Base(Method):
    paper = PaperCard("Bad", 2026, "none", "https://example.org")
    recipe = {"epochs": 1, "batch_size": 8}

    def __init__(self, config, dim, taxonomy):
        super().__init__(config, dim, taxonomy)
        self.classifier = nn.Linear(dim, self.n_leaves)

    def forward(self, batch):
        return Output({"leaf": self.classifier(segment_mean(batch.features, batch.offsets))})


"""
LOSS = '@METHODS.register("bad")\nclass Bad(Base):\n    def loss(self, output, batch, _):\n        '
FIRST = HEAD.count("\n") + 1  # the line where what a test adds begins


@pytest.fixture(autouse=True)
def registries_as_before(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for registry in (METHODS, DATASETS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("mil_bench_plugin_"):
            del sys.modules[name]


def obey(capfd, *words: str) -> tuple[int, str, str]:
    """Exit code, what was printed, and the errors, of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    told = capfd.readouterr()
    return ended.value.code, " ".join(told.out.split()), " ".join(told.err.split())


def run_beside(capfd, code: str) -> tuple[int, str, str]:
    """Run the method ``bad`` of a plug-in and the good one of the toys, on data without coords."""
    Path("bad.py").write_text(HEAD + code)
    words = "run -m bad,plain -d toy --fold 0 --set epochs=1 --set batch_size=8 --device cpu"
    return obey(capfd, *words.split(), "--plugin", PLUGIN, "--plugin", "bad.py")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("1 / 0\n", "(bad.py, line 22): ZeroDivisionError: division by zero; correct it."),
        ("import no_such_thing\n", "(bad.py, line 22): ModuleNotFoundError: No module named"),
        ("class (:\n", "(bad.py, line 22): SyntaxError: invalid syntax; correct it."),
        ("raise SystemExit(0)\n", "(bad.py, line 22): it ends the process; put that under `if"),
        (
            '@METHODS.register\nclass Bad(Base):\n    """Bad."""\n',
            "(bad.py, line 22): register needs the name of the method: write @METHODS.register(",
        ),
        (
            '@METHODS.register("abmil")\nclass Bad(Base):\n    """Bad."""\n',
            "(bad.py, line 22): method 'abmil' from bad.py is already registered by mil-bench; "
            "give one of them another name.",
        ),
        (
            '@METHODS.register("../abmil")\nclass Bad(Base):\n    """Bad."""\n',
            "(bad.py, line 22): method '../abmil' from bad.py has a name that cannot be one of a "
            "folder",
        ),
    ],
    ids=["raises", "imports", "syntax", "exits", "nameless", "taken", "path"],
)
def test_a_plugin_that_cannot_be_loaded_is_refused_with_file_and_line(capfd, code, sentence):
    assert FIRST == 22
    status, _, told = run_beside(capfd, code)
    assert status == 2
    assert told.startswith("error: plugin bad.py " + sentence)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            '@METHODS.register("bad")\nclass Bad(nn.Module):\n    """Bad."""\n',
            "method 'bad' (bad.py, line 22) is not derived from mil_bench.method.Method, so it "
            "lacks loss",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Method):\n    """Bad."""\n',
            "method 'bad' (bad.py, line 22) lacks forward, paper (a PaperCard); add what is",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Base):\n    class Config(MethodConfig):\n'
            "        width: int\n",
            "method 'bad' (bad.py, line 22) lacks a default of its option width; add what is",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Base):\n    version = 2\n',
            "method 'bad' (bad.py, line 22) lacks a version that is a text, such as '1'; add what",
        ),
        (
            LOSS.replace(", _)", ")") + "return {}\n",
            "method 'bad': loss (bad.py, line 24) cannot be called with (output, batch, progress); "
            "give it these arguments.",
        ),
    ],
    ids=["module", "empty", "option", "version", "loss"],
)
def test_a_class_that_is_no_method_is_refused_before_anything_is_run(capfd, code, sentence):
    status, _, told = run_beside(capfd, code)
    assert status == 2
    assert sentence in told
    assert not list(Path().glob("runs/toy/*"))
    for words in (
        "show bad",
        "check method bad",
        "ablate --method bad -d toy",
        "run -m bad -d toy",
    ):
        status, _, told = obey(capfd, *words.split(), "--plugin", PLUGIN, "--plugin", "bad.py")
        assert (status, sentence in told) == (2, True), words


FORWARD = """\
@METHODS.register("bad")
class Bad(Base):
    def forward(self, batch):
        z = segment_mean(batch.features, batch.offsets)
        output = super().forward(batch)
        {}
"""


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            FORWARD.format('return Output({"leaf": output.logits["leaf"][:, :3]})'),
            "forward (bad.py, line 24) gives leaf logits of shape (8, 3) for 8 bags and 4 classes; "
            "return (8, 4).",
        ),
        (
            FORWARD.format('return Output({"coarse": z[:, :2]})'),
            "forward (bad.py, line 24) has logits of ['coarse']; add those of 'leaf'.",
        ),
        (
            FORWARD.format('return Output({**output.logits, "middle": z})'),
            "forward (bad.py, line 24) has logits of 'middle'; levels are ['coarse', 'leaf'].",
        ),
        (
            FORWARD.format('return Output(output.logits, {"leaf": z[:, :1]})'),
            "forward (bad.py, line 24) gives leaf attention of shape (8, 1) for",
        ),
        (FORWARD.format("return z"), "forward (bad.py, line 24) returns Tensor; return an Output."),
        (LOSS + "pass\n", "loss (bad.py, line 24) returns NoneType; return a dictionary"),
        (LOSS + "return {}\n", "loss (bad.py, line 24) returns no term; return a dictionary"),
        (
            LOSS + 'return {"ce": output.logits["leaf"].sum(1)}\n',
            "loss (bad.py, line 24) gives 'ce' as (8,); return a tensor of shape ().",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Base):\n    needs_coords = True\n',
            "method 'bad' (bad.py, line 22) asks for coordinates, and the features of toy have",
        ),
        (
            FORWARD.format('needed_coords(batch, "bad", "use another method")'),
            "bad needs the coordinates of patches, but these features have none",
        ),
        (
            FORWARD.format("return z[batch.coords.long()]"),
            "AttributeError: 'NoneType' object has no attribute 'long' (bad.py, line 27, see",
        ),
        (FORWARD.format("raise SystemExit(0)"), "SystemExit: 0 (bad.py, line 27, see"),
        (
            LOSS + 'return {"ce": torch.ones(())}\n',
            "loss (bad.py, line 24) gives terms that depend on no parameter: ce; compute one of",
        ),
        (
            '@METHODS.register("bad")\nclass Bad(Base):\n    def __init__(self, *args):\n'
            "        super().__init__(*args)\n        self.requires_grad_(False)\n",
            "method 'bad' (bad.py, line 22) has no parameter to train; make layers in __init__",
        ),
        (
            LOSS + 'return {"mine": output.logits["leaf"].sum() * float("nan")}\n',
            "the training loss became nan in epoch 1 (not finite: loss, loss_mine); lower lr",
        ),
    ],
    ids=[
        *("shape", "no_leaf", "no_level", "attention", "no_output"),
        *("no_loss", "no_terms", "no_number", "coords", "asks_for_coords", "reads_coords"),
        *("exits", "no_gradient", "no_parameter", "nan"),
    ],
)
def test_a_method_that_breaks_its_promises_is_a_failed_row_and_the_others_go_on(
    capfd, code, sentence
):
    status, out, _ = run_beside(capfd, code)
    assert status == 1
    assert sentence in out
    assert "1 done, 0 done before, 1 failed" in out
    assert list(Path().glob("runs/toy/plain/*/result.json"))


PACKAGE = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "outside-mil"
version = "1.0"

[project.entry-points."mil_bench.methods"]
outside = "outside_mil:Outside"
abmil = "outside_mil:Outside"
ruined = "outside_mil.ruined:Ruined"

[project.entry-points."mil_bench.datasets"]
outside-data = "outside_mil:Data"

[tool.setuptools]
packages = ["outside_mil"]
"""
MODULE = """
from dataclasses import replace

from toy_grid import ToyData


class Outside(Base):
    "From an installed package."


class Data(ToyData):
    "From an installed package."

    card = replace(ToyData.card, name="outside-data")

    def load(self, options):
        return replace(super().load(options), card=self.card)
"""


@pytest.mark.slow
def test_an_installed_package_has_the_same_rights_and_its_faults_stop_nobody(tmp_path):
    source, place = tmp_path / "source", tmp_path / "place"
    (source / "outside_mil").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PACKAGE)
    (source / "outside_mil/__init__.py").write_text(HEAD + MODULE)
    (source / "outside_mil/ruined.py").write_text("# nothing\nimport no_such_thing\n")
    install = "pip install --quiet --no-deps --no-index --no-build-isolation"
    subprocess.run(
        [sys.executable, "-m", *install.split(" "), "--target", str(place), str(source)], check=True
    )
    paths = os.pathsep.join(map(str, (place, Path(PLUGIN).parent)))

    def bench(words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "mil_bench", *words.split()],
            env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, " ".join(done.stdout.split()), " ".join(done.stderr.split())

    status, listed, warned = bench("list")
    assert status == 0
    assert "outside │ from outside-mil │ outside-mil" in listed
    assert "outside-data │ from outside-mil │ outside-mil" in listed
    assert warned == (
        "warning: method 'abmil' from outside-mil is already registered by mil-bench; give one of "
        "them another name."
    )
    status, out, _ = bench("run -m outside,abmil -d outside-data --fold 0 --set epochs=1")
    assert (status, "2 done" in out) == (0, True)
    status, _, told = bench("run -m ruined,abmil -d outside-data --fold 0")
    assert status == 2
    assert "method 'ruined' of the package outside-mil cannot be imported (" in told
    assert "ModuleNotFoundError: No module named 'no_such_thing'" in told
    assert bench("leaderboard --no-figures")[0] == 0
    page = next(Path("leaderboards").rglob("leaderboard.html")).read_text()
    assert "from outside-mil" in page  # its card


def test_a_folder_given_as_a_plugin_is_told_from_a_missing_file(capfd):
    Path("folder").mkdir()
    status, _, told = obey(capfd, "list", "--plugin", "folder")
    assert (status, told) == (2, "error: plugin folder is a folder; expected a Python file.")
    status, _, told = obey(capfd, "list", "--plugin", "gone.py")
    assert (status, told) == (2, "error: plugin gone.py does not exist; expected a Python file.")


def test_a_file_that_registers_nothing_is_a_warning_and_the_rest_goes_on(capfd):
    Path("nothing.py").write_text(HEAD)
    for words in ("list methods", "show abmil"):
        status, _, told = obey(capfd, *words.split(), "--plugin", "nothing.py")
        assert status == 0
        sys.modules.pop(next(name for name in sys.modules if "plugin_nothing_" in name))
        assert told.startswith("warning: plugin nothing.py registers nothing; put @METHODS.")


GRAPH = """\
@METHODS.register("bad")
class Graph(Base):
    neighbours = 3

    def forward(self, batch):
        here, there = batch.edges
        heard = torch.zeros_like(batch.features).index_add(0, there, batch.features[here])
        return Output({"leaf": self.classifier(segment_mean(heard, batch.offsets))})
"""


def test_a_graph_has_its_edges_in_training_counting_and_heatmaps(capfd):
    Path("graph.py").write_text(HEAD + GRAPH)
    words = "run -m bad -d digit-bags --fold 0 --set epochs=1 --set batch_size=64 --device cpu"
    assert obey(capfd, *words.split(), "--plugin", "graph.py")[0] == 0
    (run,) = Path("runs/digit-bags/bad").iterdir()
    slide = (run / "predictions.csv").read_text().splitlines()[1].split(",")[1]
    for by in ("gradient", "occlusion"):
        status, _, told = obey(capfd, "heatmap", "--run", run.name, "--slide", slide, "--by", by)
        assert status == 0, told


DATA = """\
from mil_bench.dataset import DatasetAdapter
from mil_bench.datasets import DATASETS
from toy_grid import ToyData


@DATASETS.register("bad-data")
"""


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def load(options): ...\n", "(bad.py, line 6) is not derived from mil_bench.dataset.D"),
        ("class Bad(DatasetAdapter): ...\n", "(bad.py, line 6) lacks load, card (a DatasetCard); "),
        ("class Bad(ToyData): ...\n", "lacks the name 'bad-data' on its card, which says 'toy'; "),
        (
            "class Bad(ToyData):\n    from dataclasses import replace\n"
            "    card = replace(ToyData.card, name='bad-data')\n"
            "    def load(self, options):\n        return {}['s1']\n",
            "dataset 'bad-data' cannot be read: KeyError: 's1' (bad.py, line 11); correct its",
        ),
        (
            "class Bad(ToyData):\n    from dataclasses import replace\n"
            "    card = replace(ToyData.card, name='bad-data')\n"
            "    def load(self, options):\n        pass\n",
            "load (bad.py, line 10) of dataset 'bad-data' returns NoneType; return a Dataset.",
        ),
    ],
    ids=["function", "empty", "name", "raises", "none"],
)
def test_a_dataset_that_keeps_no_promise_is_one_sentence(capfd, code, sentence):
    Path("bad.py").write_text(DATA + code)
    for words in ("run -m mean -d bad-data", "check dataset bad-data"):
        status, _, told = obey(capfd, *words.split(), "--plugin", "bad.py")
        assert status in (1, 2)
        assert told.startswith("error: ")
        assert sentence in told


def test_runs_made_before_an_edit_are_told_and_a_new_version_makes_them_again(capfd):
    words = [
        "run",
        "-m",
        "bad",
        "-d",
        "toy",
        "--fold",
        "0",
        "--set",
        "epochs=1",
        "--device",
        "cpu",
        "--plugin",
    ]
    for name, version, sentence in (
        ("first", "1", "1 done, 0 done before"),
        ("first", "1", "0 done, 1 done before"),
        ("edited", "1", "note bad (edited.py, line 22) was edited since 1 run of it ended; if"),
        ("newer", "2", "1 done, 0 done before"),
    ):
        code = f'@METHODS.register("bad")\nclass Bad(Base):\n    version = "{version}"  # {name}\n'
        Path(f"{name}.py").write_text(HEAD + code)
        for module in [m for m in sys.modules if m.startswith("mil_bench_plugin_")]:
            if not module.startswith("mil_bench_plugin_toy_grid"):
                del sys.modules[module]
        METHODS._entries.pop("bad", None)
        status, out, told = obey(capfd, *words, f"{name}.py", "--plugin", PLUGIN)
        assert status == 0, told
        assert sentence in out
        assert ("was edited" in out) == (name == "edited")
