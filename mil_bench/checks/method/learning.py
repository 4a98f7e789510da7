"""Losses, gradients, and whether the model overfits eight bags."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.checks.method.check import Broken, Candidate, check
from mil_bench.checks.method.samples import TREES, make_batch, seen_by, total, usual_batch
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.checked_methods import check_trainable
from mil_bench.contract.method import Method
from mil_bench.contract.spec import TrainerConfig
from mil_bench.training.optimizers import make_optimizer

PROGRESS = (0.1, 0.5, 0.9)  # a curriculum may rest a term at times
HALF_WAY = 0.5
STILL = 1e-9
ROUNDS, STEPS = 20, 10


@check(
    "loss terms", "make every term depend on a parameter; remove terms that are only for display"
)
def loss_terms(method: Candidate) -> str:
    """Every term changes a parameter at some time in training."""
    names: dict[str, None] = {}
    for tree in TREES:
        model = method.make(tree())
        batch = seen_by(model, usual_batch(tree()))
        parameters = [p for p in model.parameters() if p.requires_grad]
        moving: set[str] = set()
        for progress in PROGRESS:
            # A new forward pass: terms may free their graph.
            terms = model.loss(model(batch), batch, progress)
            names |= dict.fromkeys(terms)
            moving |= {term for term, value in terms.items() if _moves(value, parameters)}
        still = [term for term in terms if term not in moving]
        if still or not terms:
            raise Broken(f"{', '.join(still) or 'no term'} changes no parameter ({tree.__name__})")
    return f"{', '.join(names)}: each changes parameters"


@check(
    "parameters",
    "use every parameter in a loss term; freeze others by requires_grad_(False) or remove them",
)
def parameters(method: Candidate) -> str:
    """Every trainable parameter gets a finite gradient at some time in training."""
    count = 0
    for tree in TREES:
        model = method.make(tree())
        check_trainable(method.name, model)
        batch = seen_by(model, usual_batch(tree()))
        for progress in PROGRESS:
            total(model.loss(model(batch), batch, progress)).backward()  # type: ignore[no-untyped-call]
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        idle = [name for name, p in trained.items() if p.grad is None]
        wild = [n for n, p in trained.items() if p.grad is not None and not p.grad.isfinite().all()]
        for names, what in ((idle, "no gradient"), (wild, "a gradient that is not finite")):
            if names:
                raise Broken(f"{what} for {', '.join(names[:5])} ({tree.__name__} tree)")
        count = max(count, len(trained))
    return f"all {count} get a finite gradient"


@check("eight bags", "find the part that does not train: a sound model overfits them")
def overfits(method: Candidate) -> str:
    """The model overfits eight bags of four classes in 200 steps."""
    # Two coarse classes, two leaves in each.
    taxonomy = Taxonomy.from_tree("four", {"a": ["a0", "a1"], "b": ["b0", "b1"]})
    model = method.make(taxonomy, dim=16)
    batch = seen_by(model, make_batch(range(1, 9), (0, 1, 2, 3) * 2, taxonomy, dim=16))
    optimizer = make_optimizer(model, TrainerConfig(lr=1e-2, weight_decay=0))
    right = 0
    for finished in range(1, ROUNDS + 1):
        train(model, batch, optimizer, STEPS)
        predicted = model.eval()(batch).logits[LEAF].argmax(1)
        right = int((predicted == batch.labels[LEAF]).sum())
        if right == len(batch):
            return f"overfits eight bags in {finished * STEPS} steps"
    raise Broken(
        f"{right} of 8 are correct after {ROUNDS * STEPS} steps at a learning rate of 0.01"
    )


def train(model: Method, batch: BagBatch, optimizer: Optimizer, steps: int) -> None:
    """Train on one batch, with the hooks of an epoch."""
    model.train()
    model.before_epoch(HALF_WAY)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = total(model.loss(model(batch), batch, HALF_WAY))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        model.after_step(HALF_WAY)


def _moves(term: Tensor, parameters: list[torch.nn.Parameter]) -> bool:
    if not term.requires_grad:
        return False
    # allow_unused: a term may depend on few parameters.
    gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
    # Not <=: a nan gradient moves, too.
    return any(g is not None and not bool(g.abs().max() <= STILL) for g in gradients)
