"""Hooks of a method: a teacher that follows the weights, a schedule that the forward pass reads."""

from __future__ import annotations

import copy

import pytest
import torch
from test_loop import spec_of, trainer_in
from toy_grid import DIM, TREE, Plain

from mil_bench.training.checkpoint import Checkpoint, seed_everything


class Taught(Plain):
    """Its teacher, an average of its weights, is a target of its loss; it counts its hooks."""

    def __init__(self, config, dim, taxonomy):
        super().__init__(config, dim, taxonomy)
        self.teacher = copy.deepcopy(self.heads).requires_grad_(False)
        self.calls = []

    def before_epoch(self, progress):
        self.calls.append(("epoch", progress))
        self.rate = 0.5 + progress / 2

    def after_step(self, progress):
        self.calls.append(("step", progress))
        for old, new in zip(self.teacher.parameters(), self.heads.parameters(), strict=True):
            old.lerp_(new.detach(), self.rate)

    def loss(self, output, batch, progress):
        pairs = zip(self.teacher.parameters(), self.heads.parameters(), strict=True)
        distance = torch.stack([(old - new).square().sum() for old, new in pairs]).sum()
        return {**super().loss(output, batch, progress), "teacher": distance}


def taught():
    seed_everything(0, 0)
    return Taught(Plain.Config(), DIM, TREE)


def test_hooks_are_called_before_epochs_and_after_steps_of_the_optimiser(tmp_path):
    method = taught()
    spec = spec_of(epochs=2, batch_size=6, accumulate=2)  # 24 bags: 4 batches, 2 steps
    trainer_in(tmp_path, method, spec).run()
    steps = [[("epoch", p), ("step", p), ("step", p)] for p in (0.0, 0.5)]
    assert method.calls == steps[0] + steps[1]


def test_a_step_is_over_when_its_hook_is_called(tmp_path):
    method = taught()
    before = method.heads["leaf"].weight.detach().clone()
    method.after_step = lambda progress: seen.append(method.heads["leaf"].weight.detach().clone())
    seen = []
    trainer_in(tmp_path, method, spec_of(epochs=1, batch_size=24)).run()
    assert len(seen) == 1
    assert not torch.equal(seen[0], before)
    assert torch.equal(seen[0], method.heads["leaf"].weight)


@pytest.mark.parametrize("optimizer", ["adam", "lookahead_radam"])
def test_a_teacher_is_the_same_after_every_interruption(tmp_path, optimizer):
    spec = spec_of(epochs=5, optimizer=optimizer, lr=0.05)
    (tmp_path / "whole").mkdir()
    whole = trainer_in(tmp_path / "whole", taught(), spec).run()
    parts = tmp_path / "parts"
    parts.mkdir()
    checkpoint = Checkpoint(key=spec.key, threads=1)
    while not checkpoint.finished:
        trainer_in(parts, taught(), spec, checkpoint)._run_epoch(checkpoint.epoch + 1)
        checkpoint = Checkpoint.load(parts / "checkpoint.pt")
    assert "teacher.leaf.weight" in whole.model
    torch.testing.assert_close(checkpoint.model, whole.model, rtol=0, atol=0)
    torch.testing.assert_close(checkpoint.best_model, whole.best_model, rtol=0, atol=0)
    assert not torch.equal(whole.model["teacher.leaf.weight"], whole.model["heads.leaf.weight"])
