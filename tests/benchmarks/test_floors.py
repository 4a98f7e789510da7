import pytest
import torch
from small_machine import small_machine

from benchmarks.contestants import Entry
from benchmarks.floors import Floor, bag_flops, epoch_floor
from benchmarks.machine import Machine, Rates
from benchmarks.workloads import WORKLOADS

N, D, C = 50, 24, 7


def abmil_flops(n):
    """Multiplications and additions of the forward pass: first layer, then everything else."""
    return 2 * n * D * 512, 2 * (n * 512 * 512 + n * 256 + n * 512 + 512 * C)


def test_flops_of_abmil_at_inference_are_those_of_its_matrix_products():
    assert bag_flops("abmil", D, N, "inference") == sum(abmil_flops(N))


def test_training_costs_three_forwards_less_the_gradient_of_the_features():
    first, rest = abmil_flops(N)
    assert bag_flops("abmil", D, N, "train") == 2 * first + 3 * rest


@pytest.mark.parametrize("method", ["mean", "max", "clam-mb", "hmil"])
def test_flops_of_linear_methods_are_linear_but_for_a_constant(method):
    one, two, three = (bag_flops(method, D, n, "train") for n in (100, 200, 300))
    assert three - two == two - one > 0


def test_the_floor_is_the_slower_of_multiplying_and_reading():
    assert Floor(flops=8, bytes=1, flop_rate=2, byte_rate=1).seconds == 4
    assert Floor(flops=8, bytes=6, flop_rate=2, byte_rate=1).seconds == 6


def test_the_floor_of_an_epoch_adds_bags_and_halves_bytes_in_bf16():
    rates = [Rates({"32": r, "bf16": 2 * r}, r) for r in (1.0, 5.0, 2.0)]
    full = epoch_floor(Entry("ours", "mean", WORKLOADS["tiny"]), "train", [3, 4], rates)
    half = epoch_floor(Entry("ours", "mean", WORKLOADS["tiny"], "bf16"), "train", [3, 4], rates)
    assert full.bytes == 7 * 16 * 4 == 2 * half.bytes
    assert full.flops == half.flops == sum(bag_flops("mean", 16, n, "train") for n in (3, 4))
    assert (full.flop_rate, half.flop_rate, full.byte_rate) == (2.0, 4.0, 2.0)


def test_a_machine_measures_every_precision_asked_for(monkeypatch):
    small_machine(monkeypatch)
    threads = torch.get_num_threads()
    rates = Machine(("32", "bf16"), threads).rates()
    assert set(rates.flops) == {"32", "bf16"}
    assert min(*rates.flops.values(), rates.bytes) > 0
