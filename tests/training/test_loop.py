import csv
import math

import numpy as np
import pytest
import torch
from toy_grid import DIM, TREE, Plain, toy_dataset

from mil_bench.bags.device import DeviceBags
from mil_bench.bags.loader import EvaluationLoader, TrainLoader
from mil_bench.base.errors import RunError
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.spec import RunSpec, TrainerConfig
from mil_bench.training import loop as loop_module
from mil_bench.training.checkpoint import Checkpoint, seed_everything
from mil_bench.training.loop import Trainer, TrainingData
from mil_bench.training.predict import predict
from mil_bench.training.progress import Reporter

CPU = torch.device("cpu")


def spec_of(precision="32", **trainer):
    settings = {"lr": 0.01, "weight_decay": 0, "epochs": 3, "batch_size": 4, **trainer}
    return RunSpec(
        dataset="toy",
        kind="embedded",
        labels_digest="l",
        tree=TREE.to_dict(),
        split="s",
        split_digest="s",
        fold=0,
        encoder="toy",
        dim=DIM,
        features_digest="f",
        method="plain",
        method_version="1",
        method_config={},
        trainer=TrainerConfig(**settings),
        seed=0,
        precision=precision,
    )


def trainer_in(folder, method=None, spec=None, checkpoint=None, train_slides=24, device=CPU):
    spec = spec or spec_of()
    if method is None:
        seed_everything(0, 0)
        method = Plain(Plain.Config(dropout=0), DIM, TREE)
    dataset = toy_dataset()
    dtype = torch.bfloat16 if spec.precision == "bf16" else torch.float32
    bags = DeviceBags(dataset.store, device, dtype=dtype)
    slides = dataset.manifest.slide_ids
    labels = dataset.manifest.labels()
    train = slides[:train_slides]
    loader = TrainLoader(
        bags,
        train,
        np.array([TREE.index(labels[s]) for s in train]),
        TREE,
        batch_size=spec.trainer.batch_size,
        seed=spec.seed,
    )
    data = TrainingData(loader, EvaluationLoader(bags, slides[24:]), dataset.manifest)
    checkpoint = checkpoint or Checkpoint(key=spec.key, threads=1)
    return Trainer(method, data, spec, checkpoint, folder, Reporter())


def gradients_of_first_step(trainer, monkeypatch):
    """Gradients as the optimiser sees them in its first step of epoch 1."""
    seen = []

    def step(*_, **__):
        seen.append([p.grad.clone() for p in trainer.method.parameters()])

    monkeypatch.setattr(trainer.optimizer, "step", step)
    trainer.method.train()
    trainer.train_epoch(1)
    return seen


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("slides", [24, 22])  # 22: the last group is smaller
def test_accumulated_small_batches_have_the_gradient_of_one_big_batch(
    tmp_path, monkeypatch, slides, weighted
):
    def gradients(**settings):
        trainer = trainer_in(tmp_path, spec=spec_of(**settings), train_slides=slides)
        if weighted:
            weights = {k: torch.arange(1.0, len(v) + 1) for k, v in TREE.classes.items()}
            trainer.method.set_class_weights(weights)
        return gradients_of_first_step(trainer, monkeypatch)

    small, big = gradients(batch_size=3, accumulate=4), gradients(batch_size=12)
    assert len(small) == len(big) == 2
    for one, other in zip(small, big, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_class_weights_act_on_batches_of_one_bag(tmp_path, monkeypatch):
    plain = trainer_in(tmp_path, spec=spec_of(batch_size=1))
    weighted = trainer_in(tmp_path, spec=spec_of(batch_size=1))
    twice = {k: torch.full((len(v),), 2.0) for k, v in TREE.classes.items()}
    weighted.method.set_class_weights(twice)
    one = gradients_of_first_step(plain, monkeypatch)[0]
    two = gradients_of_first_step(weighted, monkeypatch)[0]
    torch.testing.assert_close([2 * g for g in one], two)


def test_gradients_are_clipped_to_the_given_norm_and_keep_their_direction(tmp_path, monkeypatch):
    free = gradients_of_first_step(trainer_in(tmp_path), monkeypatch)[0]
    clipped = gradients_of_first_step(
        trainer_in(tmp_path, spec=spec_of(clip_norm=1e-3)), monkeypatch
    )[0]
    flat, cut = (torch.cat([g.flatten() for g in gs]) for gs in (free, clipped))
    assert flat.norm() > 1e-3
    assert cut.norm().item() == pytest.approx(1e-3, rel=1e-3)
    assert torch.cosine_similarity(flat, cut, 0).item() == pytest.approx(1, abs=1e-5)


def test_the_log_has_a_row_per_epoch_whose_terms_add_up_to_the_loss(tmp_path):
    trainer_in(tmp_path).run()
    rows = list(csv.DictReader((tmp_path / "train.csv").open()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    for row in rows:
        terms = float(row["loss_leaf"]) + float(row["loss_coarse"])
        assert float(row["loss"]) == pytest.approx(terms, rel=1e-5)
        assert float(row["lr"]) == 0.01
        assert float(row["seconds"]) > 0


def test_the_logged_loss_is_the_mean_over_bags_also_with_an_uneven_last_batch(
    tmp_path, monkeypatch
):
    trainer = trainer_in(tmp_path, spec=spec_of(batch_size=5))  # 24 bags: 5 5 5 5 4
    monkeypatch.setattr(trainer.optimizer, "step", lambda *_, **__: None)
    losses, _ = trainer.train_epoch(1)
    whole = next(iter(trainer_in(tmp_path, spec=spec_of(batch_size=24)).data.train.epoch(1)))
    terms = trainer.method.loss(trainer.method(whole), whole, 0.0)
    assert losses["loss_leaf"] == pytest.approx(terms["leaf"].item(), rel=1e-5)


def test_curricula_start_at_zero_and_stay_below_one(tmp_path):
    seen = []

    class Watching(Plain):
        def loss(self, output, batch, progress):
            seen.append(progress)
            return super().loss(output, batch, progress)

    trainer_in(tmp_path, Watching(Plain.Config(), DIM, TREE), spec_of(epochs=4)).run()
    assert sorted(set(seen)) == [0, 0.25, 0.5, 0.75]


def test_the_model_of_the_best_epoch_is_kept_and_training_stops_early(tmp_path, monkeypatch):
    losses = iter([0.9, 0.5, 0.7, 0.6, 0.1])
    real = loop_module.leaf_scores
    monkeypatch.setattr(loop_module, "leaf_scores", lambda p: {**real(p), "log_loss": next(losses)})
    trainer = trainer_in(tmp_path, spec=spec_of(epochs=5, patience=2))
    states = {}
    keep = trainer._keep

    def record(epoch, *rest):
        states[epoch] = {k: v.clone() for k, v in trainer.method.state_dict().items()}
        keep(epoch, *rest)

    monkeypatch.setattr(trainer, "_keep", record)
    checkpoint = trainer.run()
    assert (checkpoint.epoch, checkpoint.best_epoch, checkpoint.best_value) == (4, 2, 0.5)
    torch.testing.assert_close(checkpoint.best_model, states[2], rtol=0, atol=0)
    assert not torch.equal(states[2]["body.0.weight"], states[4]["body.0.weight"])


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "lookahead_radam"])
def test_a_run_stopped_after_any_epoch_and_continued_equals_an_undisturbed_one(
    tmp_path, schedule, optimizer
):
    spec = spec_of(epochs=9, schedule=schedule, optimizer=optimizer, accumulate=2, lr=0.05)

    def method():
        seed_everything(0, 0)
        return Plain(Plain.Config(), DIM, TREE)

    (tmp_path / "whole").mkdir()
    whole = trainer_in(tmp_path / "whole", method(), spec).run()
    parts = tmp_path / "parts"
    parts.mkdir()
    checkpoint = Checkpoint(key=spec.key, threads=1)
    while not checkpoint.finished:
        trainer = trainer_in(parts, method(), spec, checkpoint)
        trainer._run_epoch(checkpoint.epoch + 1)
        torch.manual_seed(99)  # whatever the process did before must not matter
        checkpoint = Checkpoint.load(parts / "checkpoint.pt")
    torch.testing.assert_close(checkpoint.model, whole.model, rtol=0, atol=0)
    torch.testing.assert_close(checkpoint.best_model, whole.best_model, rtol=0, atol=0)
    clock = ("seconds", "wait_seconds", "bags_per_second")
    rows = [
        [{k: v for k, v in row.items() if k not in clock} for row in c.history]
        for c in (whole, checkpoint)
    ]
    assert rows[0] == rows[1]


def test_a_loss_that_is_not_finite_stops_the_run_with_one_sentence(tmp_path):
    class Exploding(Plain):
        def loss(self, output, batch, progress):
            return {"leaf": output.logits["leaf"].sum() * math.inf}

    with pytest.raises(RunError, match=r"loss became .* in epoch 1 \(.*loss_leaf\); lower lr"):
        trainer_in(tmp_path, Exploding(Plain.Config(), DIM, TREE)).run()
    assert not (tmp_path / "checkpoint.pt").exists()


def test_bf16_on_a_cpu_trains_to_nearly_the_same_loss(tmp_path):
    full = trainer_in(tmp_path).run()
    mixed = trainer_in(tmp_path, spec=spec_of("bf16")).run()
    assert mixed.best_value == pytest.approx(full.best_value, rel=0.05)
    assert mixed.best_value != full.best_value
    assert mixed.model["body.0.weight"].dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
def test_every_precision_trains_on_cuda(tmp_path, precision):
    seed_everything(0, 0)
    method = Plain(Plain.Config(), DIM, TREE).to("cuda")
    cuda = torch.device("cuda", 0)
    checkpoint = trainer_in(tmp_path, method, spec_of(precision), device=cuda).run()
    assert checkpoint.finished
    assert math.isfinite(checkpoint.best_value)


def batches(labels=None):
    dataset = toy_dataset()
    return [DeviceBags(dataset.store, CPU).batch(["s05", "s02"], labels=labels)]


def test_predictions_are_the_softmax_of_every_head_in_the_order_of_the_batches():
    method = Plain(Plain.Config(), DIM, TREE).eval()
    batch = batches()[0]
    p = predict(method, [batch], toy_dataset().manifest, "32")
    assert p.slide_ids.tolist() == ["s05", "s02"]
    assert p.groups.tolist() == ["p2", "p1"]
    assert p.labels.tolist() == [2, 1]
    for level, logits in method(batch).logits.items():
        expected = logits.detach().double().softmax(1).numpy()
        np.testing.assert_array_equal(p.heads[level], expected)


def test_predicting_in_training_mode_or_with_labels_is_refused():
    method, manifest = Plain(Plain.Config(), DIM, TREE), toy_dataset().manifest
    with pytest.raises(AssertionError, match="evaluation mode"):
        predict(method.train(), batches(), manifest, "32")
    with pytest.raises(AssertionError, match="must not see labels"):
        predict(method.eval(), batches({"leaf": torch.zeros(2)}), manifest, "32")


def test_predicting_leaves_no_gradients_and_training_is_back_to_dropout(tmp_path):
    modes = []

    class Watching(Plain):
        def forward(self, batch: BagBatch):
            modes.append((self.training, torch.is_grad_enabled(), bool(batch.labels)))
            return super().forward(batch)

    trainer_in(tmp_path, Watching(Plain.Config(), DIM, TREE), spec_of(epochs=2)).run()
    assert set(modes) == {(True, True, True), (False, False, False)}
    assert modes[-2][0] is True  # the second epoch trained in training mode again


def test_scores_that_are_not_finite_name_the_slides():
    method = Plain(Plain.Config(), DIM, TREE).eval()
    with torch.no_grad():
        method.heads["leaf"].bias[0] = torch.nan
    with pytest.raises(RunError, match=r"leaf scores of 2 slides are not finite.*s05"):
        predict(method, batches(), toy_dataset().manifest, "32")
