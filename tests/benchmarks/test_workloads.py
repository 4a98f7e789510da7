import numpy as np
import pytest

from benchmarks.workloads import TREE, WORKLOADS, make_cohort

TINY = WORKLOADS["tiny"]


@pytest.mark.parametrize(
    ("name", "median", "largest"), [("W1", 2500, 12_000), ("W3", 8000, 32_000)]
)
@pytest.mark.parametrize("bags", [6, 101])
def test_log_normal_sizes_have_the_median_and_stay_below_the_cap(name, median, largest, bags):
    sizes = WORKLOADS[name].sizes(bags)
    assert len(sizes) == bags
    # the median of an even number of values is their arithmetic mean, a little above
    assert np.exp(np.median(np.log(sizes))) == pytest.approx(median, rel=1e-3)
    assert sizes.max() <= largest


def test_log_uniform_sizes_fill_the_range_evenly_in_the_logarithm():
    sizes = WORKLOADS["W2"].sizes(128)
    assert 20 <= sizes.min() < sizes.max() <= 300
    assert np.median(sizes) == pytest.approx(np.sqrt(20 * 300), rel=0.02)


def test_a_cohort_is_the_same_for_a_seed_and_another_for_another():
    one, again, other = make_cohort(TINY, 0), make_cohort(TINY, 0), make_cohort(TINY, 1)
    assert one.store.digest == again.store.digest != other.store.digest


def test_held_out_bags_come_only_when_asked_for_and_leave_the_training_bags_alone():
    without, with_them = make_cohort(TINY), make_cohort(TINY, held_out=True)
    assert without.held_out == ()
    assert len(with_them.held_out) == TINY.held_out
    for slide in without.train:
        np.testing.assert_array_equal(without.store.bag(slide), with_them.store.bag(slide))


def test_every_leaf_has_equally_many_bags():
    cohort = make_cohort(TINY)
    assert np.bincount(cohort.leaf(cohort.train)).tolist() == [TINY.train // 7] * 7
    assert len(TREE.leaves) == 7
    assert len(TREE.classes["coarse"]) == 3


def test_the_class_shows_in_the_first_instances_of_a_bag():
    cohort = make_cohort(WORKLOADS["W2"], held_out=True)
    labels = dict(zip(cohort.train, cohort.leaf(cohort.train), strict=True))
    means = [
        np.mean([cohort.store.bag(s)[0] for s, leaf in labels.items() if leaf == c], axis=0)
        for c in range(7)
    ]
    held_out = cohort.leaf(cohort.held_out)
    scores = [[cohort.store.bag(s)[0] @ mean for mean in means] for s in cohort.held_out]
    assert np.mean(np.argmax(scores, 1) == held_out) > 2 / 7
