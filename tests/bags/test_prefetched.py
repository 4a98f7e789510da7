import threading
import time

import pytest

from mil_bench.bags.loader import prefetched


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("mil-bench-loader")]


def test_items_made_ahead_keep_their_order_and_none_is_lost():
    items = [object() for _ in range(20)]
    assert list(prefetched(iter(items))) == items
    assert list(prefetched(iter([None, 0, None]))) == [None, 0, None]
    assert list(prefetched(iter([]))) == []


def test_never_more_than_one_item_is_ahead_of_its_use():
    made = []

    def making():
        for i in range(10):
            made.append(i)
            yield i

    for used in prefetched(making()):
        time.sleep(0.002)  # time in which a greedy thread would run away
        assert len(made) <= used + 2
    assert made == list(range(10))


def test_an_item_is_made_while_its_predecessor_is_in_use():
    started = threading.Event()

    def making():
        yield 0
        started.set()
        yield 1

    ahead = prefetched(making())
    assert next(ahead) == 0
    assert started.wait(10)
    assert next(ahead) == 1


def test_an_error_surfaces_as_it_is_after_the_items_before_it():
    error = OSError("gone")

    def failing():
        yield 0
        yield 1
        raise error

    ahead = prefetched(failing())
    assert [next(ahead), next(ahead)] == [0, 1]
    with pytest.raises(OSError, match="gone") as raised:
        next(ahead)
    assert raised.value is error
    assert not loader_threads()


@pytest.mark.parametrize("used", [1, 3, 10])
def test_the_thread_ends_with_the_epoch_also_when_it_is_left_early(used):
    ahead = prefetched(iter(range(10)))
    for _ in range(used):
        next(ahead)
    ahead.close()
    assert not loader_threads()


def test_an_error_of_the_consumer_ends_the_thread():
    def train():
        for _ in prefetched(iter(range(10))):
            raise ValueError("loss")

    with pytest.raises(ValueError, match="loss") as raised:
        train()
    del raised  # its traceback holds the loop
    assert not loader_threads()
