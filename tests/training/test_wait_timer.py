import time

import pytest

from mil_bench.training.loop import WaitTimer


def test_it_counts_the_time_in_the_source_and_not_that_of_the_consumer(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def source():
        for i in range(3):
            clock[0] += 1.0
            yield i
        clock[0] += 0.5  # finding out that there is nothing more is waiting too

    waiting, seen = WaitTimer(source()), []
    for item in waiting:
        seen.append(item)
        clock[0] += 100.0
    assert seen == [0, 1, 2]
    assert waiting.seconds == 3.5


def test_errors_of_the_source_pass_through():
    def failing():
        yield 1
        raise OSError("gone")

    items = iter(WaitTimer(failing()))
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)
