import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pool_work
import pytest

from mil_bench.runs.executors.worker_pool import Death, WorkerPool

CPU = "cpu"


def is_alive(pid):
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition):
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_messages_come_before_the_death_of_their_worker_with_signal_or_exit_code():
    with WorkerPool(pool_work.speak, "hello") as pool:
        orders = {}
        for order in ("end", "exit", "kill"):
            worker = pool.start(CPU)
            worker.send(order)
            orders[worker] = order
        events = [(orders[worker], event) for worker, event in pool.events()]
    assert [str(e) for o, e in events if o == "end"] == ["hello cpu", "ended with code 0"]
    assert [str(e) for o, e in events if o == "exit"] == ["hello cpu", "ended with code 7"]
    assert [str(e) for o, e in events if o == "kill"] == ["hello cpu", "killed by SIGKILL"]
    assert {e.exit_code for _, e in events if isinstance(e, Death)} == {0, 7, -signal.SIGKILL}


def test_a_worker_may_replace_one_that_died_and_a_message_to_a_dead_one_is_no_error():
    with WorkerPool(pool_work.speak, "hello") as pool:
        first = pool.start(CPU)
        first.send("kill")
        messages, deaths = 0, 0
        for worker, event in pool.events():
            if isinstance(event, Death):
                deaths += 1
                worker.send("end")
                if worker is first:
                    pool.start(worker.device).send("end")
            else:
                messages += 1
    assert (messages, deaths) == (2, 2)


def test_an_error_in_the_block_ends_every_worker_even_one_that_ignores_sigterm(monkeypatch):
    monkeypatch.setattr("mil_bench.runs.executors.worker_pool.SECONDS_TO_END", 0.5)
    workers = []

    def work():
        with WorkerPool(pool_work.sleep) as pool:
            workers.extend([pool.start(CPU), pool.start(CPU)])
            for _ in workers:
                next(pool.events())  # it sleeps now, deaf to SIGTERM and to Ctrl-C
            os.kill(workers[0].process.pid, signal.SIGINT)
            time.sleep(0.2)
            assert workers[0].process.is_alive()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert not any(worker.process.is_alive() for worker in workers)


def test_workers_end_with_a_parent_that_is_killed():
    program = [sys.executable, str(Path(pool_work.__file__))]
    parent = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(map(is_alive, pids))
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(map(is_alive, pids)))
