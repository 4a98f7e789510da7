"""The command that makes a run again."""

from __future__ import annotations

import shlex
from functools import lru_cache

from mil_bench.datasets import DATASETS
from mil_bench.methods import METHODS
from mil_bench.online.config import as_words
from mil_bench.runs.settings import resolve
from mil_bench.spec import RunSpec
from mil_bench.training.config import TrainerConfig
from mil_bench.variants import flattened


def command(spec: RunSpec) -> str:
    """A line of ``mil-bench run`` whose run has the key of ``spec``.

    Only settings that differ from the defaults of method and dataset are named; all are where one
    of the two is not in the package. Own data are taken to be described by ``<name>.toml``.
    """
    dataset = spec.dataset if spec.dataset in DATASETS else f"{spec.dataset}.toml"
    words = ["mil-bench", "run", "--method", spec.method, "--dataset", dataset]
    words += ["--encoder", spec.encoder] if spec.encoder else []
    words += [*_tree(spec), "--split", spec.split]
    words += ["--fold", str(spec.fold), "--seed", str(spec.seed), "--precision", spec.precision]
    words += ["--online", as_words(spec.online)] if spec.online is not None else []
    for name, value in _settings(spec).items():
        words += ["--set", f"{name}={value}"]
    return shlex.join(words)


def _settings(spec: RunSpec) -> dict[str, str]:
    trainer = spec.trainer.model_dump(mode="json")
    own = flattened(spec.method_config)
    usual_method, usual_trainer = _usual(spec.method, spec.dataset)
    changed = {
        (f"method.{name}" if name in TrainerConfig.model_fields else name): value
        for name, value in own.items()
        if usual_method.get(name) != value
    }
    for name, value in flattened(trainer).items():
        if usual_trainer.get(name) != value:
            changed[f"trainer.{name}" if name in own else name] = value
    return changed


@lru_cache
def _usual(method: str, dataset: str) -> tuple[dict[str, str], dict[str, str]]:
    """The flattened settings of method and trainer that ``--set`` starts from."""
    if method not in METHODS or dataset not in DATASETS:
        return {}, {}
    cls, card = METHODS.get(method), DATASETS.get(dataset).card
    found = resolve({method: cls}, card, {})[method]
    return (
        flattened(found.method.model_dump(mode="json")),
        flattened(found.trainer.model_dump(mode="json")),
    )


def _tree(spec: RunSpec) -> list[str]:
    """``--tree`` where the run was made with another tree than the dataset's own."""
    if spec.dataset not in DATASETS:
        return []
    card = DATASETS.get(spec.dataset).card
    if card.trees[card.default_tree].to_dict() == spec.tree:
        return []
    named = [name for name, tree in card.trees.items() if tree.to_dict() == spec.tree]
    return ["--tree", named[0] if named else str(spec.tree["name"])]
