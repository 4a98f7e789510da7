"""A training begins from the weights of a file, all of them, or from none."""

import pickle

import pytest
import safetensors.torch
import torch
from exported_models import DIM, exported
from narrow_methods import NARROW, OURS
from prediction_cases import BRACS
from run_folders import make_spec
from run_requests import request

from mil_bench.base.config import build
from mil_bench.base.errors import ConfigError, DataError, MilBenchError, RunError, SplitError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.method import Method
from mil_bench.contract.spec import RunSpec
from mil_bench.exchange.models.export import export_run
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.plan import plan
from mil_bench.runs.run_worker import RunWorker
from mil_bench.runs.studies.stored_plans import store_grid, stored_grids
from mil_bench.training.checkpoint import Checkpoint
from mil_bench.training.initial_weights import (
    freeze_body,
    load_initial_weights,
    match_weights,
    of_run,
    read_initial_weights,
)
from mil_bench.training.online.wrapped import Adapted

SMALL = Taxonomy.from_tree("small", {"x": ["a", "b"], "y": ["c"]})
LARGE = Taxonomy.from_tree("large", {"x": ["a", "b"], "y": ["c", "d"], "z": ["e"]})


def new(method="abmil", tree=BRACS, dim=DIM, **config) -> Method:
    cls = METHODS.get(method)
    torch.manual_seed(1)
    return cls(build(cls.Config, {**NARROW.get(method, {}), **config}, method), dim, tree)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_everything_is_taken_where_the_tree_is_the_same(tmp_path):
    folder, trained = exported(tmp_path)
    method = new()
    matched = load_initial_weights(read_initial_weights(folder), method, "abmil")
    assert same(method.state_dict(), trained.state_dict())
    assert matched.describe() == {"body": 8, "head": "kept"}


def test_the_head_of_another_tree_is_new(tmp_path):
    folder, trained = exported(tmp_path)
    method, untouched = new(tree=SMALL), new(tree=SMALL)
    matched = load_initial_weights(read_initial_weights(folder), method, "abmil")
    assert matched.describe() == {"body": 8, "head": "new"}
    expected = {**untouched.state_dict()}
    expected |= {n: t for n, t in trained.state_dict().items() if "classifier" not in n}
    assert same(method.state_dict(), expected)


@pytest.mark.parametrize("name", OURS)
def test_all_that_depends_on_the_classes_is_of_the_head(name):
    small, large = (
        {n: t.shape for n, t in new(name, tree).state_dict().items()} for tree in (SMALL, LARGE)
    )
    depends = {n for n in large if small.get(n) != large[n]}
    method = new(name, LARGE)
    assert depends
    assert all(map(method.is_head, depends))
    body = [n for n in large if not method.is_head(n)]
    assert body or (name == "probe" and not NARROW["probe"])
    adapted = Adapted(method, 2)
    assert all(adapted.is_head(f"inner.{n}") for n in depends)


@pytest.mark.parametrize("name", ["abmil", "clam-mb", "hmil", "mhim"])
def test_a_frozen_body_leaves_only_the_head_to_be_trained(name):
    method = new(name)
    before = {n for n, p in method.named_parameters() if p.requires_grad}
    freeze_body(method)
    trained = {n for n, p in method.named_parameters() if p.requires_grad}
    assert trained == {n for n in before if method.is_head(n)}
    assert trained < before


def test_a_head_without_parameters_is_one_sentence():
    method = new()
    method.head_layers = ("nothing",)
    with pytest.raises(ConfigError, match="trains nothing"):
        freeze_body(method)


def saved(path, tensors):
    path.write_bytes(safetensors.torch.save({n: t.contiguous() for n, t in tensors.items()}))
    return read_initial_weights(path)


def feather(width=512, hidden=384, dim=DIM, gated=True):
    shapes = {
        "patch_embed.0": (width, dim),
        "global_attn.attention_a.0": (hidden, width),
        "global_attn.attention_c": (1, hidden),
    } | ({"global_attn.attention_b.0": (hidden, width)} if gated else {})
    weights = {f"{n}.weight": torch.rand(s) for n, s in shapes.items()}
    return weights | {f"{n}.bias": torch.rand(s[0]) for n, s in shapes.items()}


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_feather_is_read_with_and_without_its_prefix(tmp_path, prefix, suffix):
    tensors = {prefix + n: t for n, t in feather().items()}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".bin":
        torch.save(tensors, path)
    else:
        path.write_bytes(safetensors.torch.save(tensors))
    method = new(width=512, hidden=384)
    matched = load_initial_weights(read_initial_weights(path), method, "abmil")
    assert len(matched.body) == 8
    official = tensors[f"{prefix}global_attn.attention_b.0.weight"]
    assert torch.equal(method.attention.gate.weight, official)


@pytest.mark.parametrize(
    ("tensors", "config", "reason"),
    [
        (feather(), {}, r"has shape .*, but abmil has .*--set width=512 --set hidden=384"),
        (feather(dim=9), {"width": 512, "hidden": 384}, r"'project.0.weight' \('patch_embed.0.w"),
        (feather(16, 8, gated=False), {}, "lacks 2 of the 8 tensors .*gate.bias, .*gate.weight"),
        (feather(16, 8), {"gated": False}, "holds 2 tensors that abmil lacks"),
        ({**feather(16, 8), "norm.bias": torch.ones(1)}, {}, r"1 tensor that abmil lacks \(norm.b"),
        ({"project.0.weight": torch.ones(16, DIM)}, {}, "lacks 7 of the 8 tensors"),
    ],
    ids=["sizes", "dim", "not gated", "gated", "more", "less"],
)
def test_a_body_that_does_not_fit_is_one_sentence_with_the_layer(tmp_path, tensors, config, reason):
    weights = saved(tmp_path / "w.safetensors", tensors)
    with pytest.raises(ConfigError, match=reason) as caught:
        match_weights(weights, new(**config), "abmil")
    assert "\n" not in str(caught.value)


def test_other_methods_and_methods_without_a_body_are_refused(tmp_path):
    folder, _ = exported(tmp_path)
    with pytest.raises(ConfigError, match="use --method abmil"):
        match_weights(read_initial_weights(folder), new("mean"), "mean")
    weights = saved(tmp_path / "f.safetensors", feather())
    with pytest.raises(ConfigError, match="use --method abmil or aem"):
        match_weights(weights, new("mean"), "mean")
    plain = saved(tmp_path / "p.safetensors", {"classifier.weight": torch.ones(7, DIM)})
    with pytest.raises(ConfigError, match="is a head alone"):
        match_weights(plain, new("probe", hidden=None), "probe")


def test_settings_that_differ_from_the_export_are_named(tmp_path):
    folder, _ = exported(tmp_path)
    with pytest.raises(ConfigError, match="pass --set width=16, as in its training"):
        match_weights(read_initial_weights(folder), new(width=32), "abmil")


def test_an_adapter_is_kept_apart_from_the_method_behind_it(tmp_path):
    folder, trained = exported(tmp_path)
    method = Adapted(new(), 3)
    load_initial_weights(read_initial_weights(folder), method, "abmil")
    assert same(method.inner.state_dict(), trained.state_dict())
    assert not method.up.weight.any()  # still the identity


class Bomb:
    """Runs code when a careless reader unpickles it."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return (open, (str(self.flag), "w"))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("w.bin", lambda flag: {"a": Bomb(flag)}, "never unpickled"),
        ("w.pt", lambda _: [torch.ones(2)], "no dictionary of tensors"),
        ("w.pt", lambda _: {"a": 3}, "no dictionary of tensors"),
        ("w.pt", lambda _: {"best_model": {}, "history": []}, "export it"),
        ("w.pt", lambda _: {"a": torch.full((2,), float("nan"))}, "NaN or Inf"),
        ("w.onnx", lambda _: {}, "not a file of weights"),
    ],
)
def test_files_that_are_no_weights_are_one_sentence(tmp_path, name, content, reason):
    torch.save(content(tmp_path / "flag"), tmp_path / name)
    (tmp_path / "flag").unlink(missing_ok=True)  # saving an object does not run it
    with pytest.raises(DataError, match=reason):
        read_initial_weights(tmp_path / name)
    assert not (tmp_path / "flag").exists()


def test_damaged_and_missing_files_are_one_sentence(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(pickle.dumps([1]))
    (tmp_path / "w.pth").write_bytes(b"PK")
    (tmp_path / "empty").mkdir()
    for name in ("w.safetensors", "w.pth", "empty", "absent"):
        with pytest.raises(DataError, match=name):
            read_initial_weights(tmp_path / name)


def test_runs_without_initial_weights_keep_their_keys():
    spec = make_spec()
    stored = spec.model_dump(mode="json")
    assert "init" not in stored
    assert "train" not in stored["trainer"]
    begun = RunSpec(**{**stored, "init": "abc"})
    assert begun.key != spec.key
    assert RunSpec(**begun.model_dump(mode="json")) == begun


def test_a_run_finds_its_file_again_or_says_why_not(tmp_path):
    folder, _ = exported(tmp_path)
    weights = read_initial_weights(folder)
    assert of_run(make_spec(), None) is None
    assert of_run(make_spec(init=weights.digest), folder).digest == weights.digest
    with pytest.raises(RunError, match="file is not known"):
        of_run(make_spec(init=weights.digest), None)
    with pytest.raises(RunError, match="has changed since"):
        of_run(make_spec(init="0" * 64), folder)


@pytest.fixture
def grid(tmp_path):
    """A complete run on toy data (fold 0), its export, and the request of runs that begin there."""
    ask, machine = request(tmp_path, methods=["abmil"], settings={"width": "8", "hidden": "4"})
    [task] = plan(ask, machine)
    directory = RunDirectory.of(tmp_path, task.spec)
    outcome = worker(machine).execute(task, directory, Silent())
    assert outcome.status == "done", outcome.sentence
    model = export_run(directory, tmp_path / "model").folder
    return lambda **changes: request(
        tmp_path,
        **{"methods": ["abmil"], "settings": ask.settings, "init": model, **changes},
    )


def worker(machine):
    from mil_bench.runs.execute import FeaturePlacement

    device = torch.device("cpu")
    return RunWorker(device, 1, FeaturePlacement(machine.cache, [device]))


class Silent:
    """A reporter without words."""

    def __getattr__(self, _name):
        return lambda *_args: None


def test_a_run_with_a_frozen_body_moves_only_the_head(grid, tmp_path):
    ask, machine = grid()
    ask = type(ask)(**{**ask.__dict__, "settings": {**ask.settings, "train": "head"}})
    [task] = plan(ask, machine)
    store_grid(tmp_path, "frozen", [task], 1)
    [stored] = stored_grids(tmp_path)[0][0].tasks()
    assert stored.init == task.init.resolve()
    assert stored.spec.init == read_initial_weights(task.init).digest
    directory = RunDirectory.of(tmp_path, stored.spec)
    outcome = worker(machine).execute(stored, directory, Silent())
    assert outcome.status == "done", outcome.sentence
    trained = Checkpoint.load(directory.checkpoint).best_model
    begun = read_initial_weights(task.init).tensors
    moved = {name for name in begun if not torch.equal(begun[name], trained[name])}
    assert moved == {"classifier.weight", "classifier.bias"}
    assert directory.read_environment()["init"] == {"body": 8, "head": "kept"}


def test_weights_that_saw_the_test_slides_are_refused_or_marked(grid, tmp_path):
    with pytest.raises(SplitError, match="may have seen test slides of fold 1"):
        plan(*grid(folds=[1]))
    ask, machine = grid(folds=[1], allow_leaks=True)
    [task] = plan(ask, machine)
    directory = RunDirectory.of(tmp_path, task.spec)
    assert worker(machine).execute(task, directory, Silent()).status == "done"
    notes = directory.read_result()["split_notes"]
    assert [note["kind"] for note in notes if "initial weights" in note["text"]] == ["leak"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"settings": {"width": "9", "hidden": "4"}}, "pass --set width=8"),
        ({"methods": ["mean"], "settings": {}}, "use --method abmil"),
        ({"init": None, "settings": {"train": "head"}}, "pass --init FILE"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_run(grid, changes, reason):
    with pytest.raises(MilBenchError, match=reason):
        plan(*grid(**changes))
