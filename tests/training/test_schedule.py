import math

import pytest
import torch

from mil_bench.training.optimizers import Schedule


def make(kind, steps=10, warmup=0, lrs=(0.1,)):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    return Schedule(torch.optim.SGD(groups), kind, steps, warmup)


def rates(schedule, n):
    return [schedule.before_step() for _ in range(n)]


def test_a_constant_rate_is_the_configured_rate_from_the_first_step():
    schedule = make("constant")
    assert rates(schedule, 3) == [0.1] * 3
    assert schedule.optimizer.param_groups[0]["lr"] == 0.1


def test_warm_up_rises_linearly_and_reaches_the_full_rate_at_its_last_step():
    assert rates(make("constant", 8, warmup=4), 6) == pytest.approx(
        [0.025, 0.05, 0.075, 0.1, 0.1, 0.1]
    )


def test_cosine_after_warm_up_follows_the_hand_computed_curve_down_to_zero():
    schedule = make("cosine", 6, warmup=2)
    half = [0.05 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert rates(schedule, 6) == pytest.approx([0.05, 0.1, *half])
    assert schedule.factor(6) == pytest.approx(0)


def test_cosine_equals_torch():
    schedule = make("cosine", 20)
    oracle_optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(oracle_optimizer, 20)
    for rate in rates(schedule, 20):
        assert rate == pytest.approx(oracle_optimizer.param_groups[0]["lr"])
        oracle_optimizer.step()
        oracle.step()


def test_every_parameter_group_keeps_its_own_base_rate():
    schedule = make("constant", 4, warmup=2, lrs=(0.1, 1.0))
    rates(schedule, 1)
    assert [g["lr"] for g in schedule.optimizer.param_groups] == pytest.approx([0.05, 0.5])


@pytest.mark.parametrize("best", [[1] * 20, [1, 2, 3, *[3] * 5, 9, *[9] * 11]])
def test_plateau_drops_the_rate_in_the_same_epochs_as_torch(best):
    schedule = make("plateau")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.1, patience=5, threshold=0
    )
    for epoch, best_epoch in enumerate(best, 1):
        assert schedule.before_step() == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        oracle.step(-float(best_epoch))  # a loss that improves exactly in the best epochs
        schedule.after_epoch(epoch, best_epoch)


@pytest.mark.parametrize("kind", ["constant", "cosine", "plateau"])
def test_a_schedule_continued_from_its_state_gives_the_same_rates(kind):
    whole, first, second = (make(kind, 12, warmup=3) for _ in range(3))

    def epochs(schedule, numbers):
        out = []
        for epoch in numbers:
            out += rates(schedule, 1)
            schedule.after_epoch(epoch, 1)
        return out

    expected = epochs(whole, range(1, 13))
    begun = epochs(first, range(1, 8))
    second.load_state_dict(first.state_dict())
    assert begun + epochs(second, range(8, 13)) == expected
