"""What the processes of a worker pool do in its tests."""

import os
import signal
import sys
import time

from mil_bench.runs.executors.worker_pool import WorkerPool


def speak(device, text, pipe):
    """Send a line, then end as the parent says."""
    order = pipe.recv()
    pipe.send(f"{text} {device}")
    if order == "exit":
        sys.exit(7)
    if order == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def sleep(device, pipe):
    """Send the process id, then sleep through everything but SIGKILL."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe.send(os.getpid())
    time.sleep(600)


if __name__ == "__main__":
    with WorkerPool(sleep) as pool:
        for _ in range(2):
            pool.start("cpu")
        for _, pid in pool.events():
            print(pid, flush=True)
