import pytest

from benchmarks.contestants import Entry
from benchmarks.scaling import one_bag
from benchmarks.scaling_table import exponent, print_scaling
from benchmarks.station import Station


def rows_of(peaks):
    key = {"contestant": "ours", "method": "abmil", "precision": "32", "threads": 2}
    return [{**key, "size": n, "seconds": [n / 1e5] * 3, "peak_mb": mb} for n, mb in peaks.items()]


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_the_power_of_a_power_law(power):
    sizes = [1024, 4096, 65536]
    assert exponent(sizes, [3 * n**power for n in sizes]) == pytest.approx(power)


def test_the_largest_bag_is_held_against_two_gibibytes(capsys):
    print_scaling(rows_of({1024: 10, 65536: 640}))
    printed = capsys.readouterr().out
    assert "a bag of 65,536 patches trains under 2 GiB over the data (640 MiB)" in printed
    assert "1.00" in printed
    print_scaling(rows_of({65536: 3000}))
    assert "NOT under" in capsys.readouterr().out


def test_a_step_is_an_epoch_of_one_bag():
    station = Station(Entry("ours", "max", one_bag(40)), 1)
    assert station.sizes() == [40]
    assert station.lap("train", 0).seconds > 0
