"""What a method stores and declares: settings, weights, card, search space, ablations."""

from __future__ import annotations

import json

import torch
from torch import Tensor

from mil_bench.base.config import build, search_space
from mil_bench.base.errors import counted
from mil_bench.cards.steps_figure import steps_figure
from mil_bench.checks.method.check import SEED, Broken, Candidate, check
from mil_bench.checks.method.learning import train
from mil_bench.checks.method.samples import same, seen_by, tensors, three_levels, usual_batch
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.checked_methods import check_class
from mil_bench.contract.method import Method
from mil_bench.contract.spec import TrainerConfig
from mil_bench.methods import METHODS
from mil_bench.training.optimizers import make_optimizer

STEPS = 3


@check("settings", "use fields that JSON can store: numbers, text, booleans, and tuples of them")
def settings(method: Candidate) -> str:
    """The settings read back from ``spec.json`` are the same settings."""
    config = method.config()
    # Tuples and None must survive JSON.
    written = json.loads(json.dumps(config.model_dump(mode="json")))
    again = build(method.kind.Config, written, f"method {method.name}")
    if again != config:
        names = type(config).model_fields
        changed = [name for name in names if getattr(again, name) != getattr(config, name)]
        raise Broken(f"{', '.join(changed)} differ when read back from spec.json")
    return (
        f"{counted(len(written), 'setting is', 'settings are')} unchanged when read back from "
        "spec.json"
    )


@check(
    "checkpoint",
    "store state that must survive a kill as a buffer or a parameter, not as an attribute",
)
def checkpoint(method: Candidate) -> str:
    """A new model with the ``state_dict`` of a trained one has the same scores."""
    taxonomy = three_levels()
    model = method.make(taxonomy)
    batch = seen_by(model, usual_batch(taxonomy))
    optimizer = make_optimizer(model, TrainerConfig(lr=1e-2))
    train(model, batch, optimizer, STEPS)
    other = method.make(taxonomy, seed=SEED + 1)  # other weights before loading
    other.load_state_dict(model.state_dict())
    first, again = (_scores(trained.eval(), batch) for trained in (model, other))
    changed = [key for key, value in first.items() if not same(value, again[key])]
    if changed:
        raise Broken(f"{', '.join(changed)} of a trained model differ after restoring it")
    return "a restored model scores like the trained one"


def _scores(model: Method, batch: BagBatch) -> dict[str, Tensor]:
    torch.manual_seed(SEED)
    return tensors(model(batch))


@check("card", "set paper = PaperCard(title, year, venue, link) and a recipe of existing settings")
def card(method: Candidate) -> str:
    """The paper is named, its steps can be drawn, and the recipe has settings of the trainer."""
    check_class(method.name, method.kind)
    paper = method.kind.paper
    if not (paper.title and paper.link):
        raise Broken("the paper card has no title or no link")
    steps_figure(paper, paper)
    build(TrainerConfig, method.kind.recipe, f"recipe of {method.name}")
    return (
        f"{paper.title} ({paper.year}), {counted(len(method.kind.recipe), 'setting')} in the recipe"
    )


@check("search space", "declare settings by tunable(default, low=..., high=...) or choices=...")
def search(method: Candidate) -> str:
    """Both ends of every range and every choice are valid."""
    space = search_space(method.kind.Config)
    if not space:
        return "no setting is tunable: `mil-bench tune` searches only those of the trainer"
    for name, limits in space.items():
        ends = limits.choices or [limits.low, limits.high]
        for value in (end for end in ends if end is not None):
            method.config(**{name: value})
    return f"{', '.join(space)}: every value is valid"


@check(
    "ablations", "make every change alter the configuration, and name registered methods as twins"
)
def ablations(method: Candidate) -> str:
    """Every change makes another model that scores bags."""
    declared = method.kind.ablations
    for twin in declared.twins:
        METHODS.get(twin)
    taxonomy = three_levels()
    for name, switch in declared.switches.items():
        # A switch that sets a default changes nothing.
        if method.config(**switch.overrides) == method.config():
            raise Broken(f"{name} changes nothing")
        model = method.make(taxonomy, **switch.overrides)
        model(seen_by(model, usual_batch(taxonomy)))
    names = ", ".join([*declared.switches, *declared.twins])
    return names or "none declared: `mil-bench ablate` has nothing to remove"
