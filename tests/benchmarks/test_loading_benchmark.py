import numpy as np
import pytest
import torch

from benchmarks.cli import BARE, COMMANDS, answer_seconds, print_cli
from benchmarks.layouts import readers
from benchmarks.loading import print_loading, race
from benchmarks.wait_share import HOMES, print_waits, wait_rows
from mil_bench.base.errors import UsageError


def test_every_layout_gives_the_bag_that_was_written(tmp_path):
    bag = np.random.default_rng(0).standard_normal((70, 16), dtype=np.float32)
    for name, read in readers(bag, tmp_path).items():
        tensor = read()
        assert tensor.dtype == torch.float32
        stored = bag.astype(np.float16) if "float16" in name else bag
        np.testing.assert_array_equal(tensor.numpy(), stored.astype(np.float32), err_msg=name)


def test_the_race_times_every_reader_in_every_round_that_counts(tmp_path, capsys):
    found = race(readers(np.ones((40, 8), np.float32), tmp_path), rounds=3)
    for times in found.values():
        assert len(times["read"]) == len(times["used"]) == 3
        assert all(0 < r <= u for r, u in zip(times["read"], times["used"], strict=True))
    print_loading([{"layout": name, "rows": 40, "dim": 8, **row} for name, row in found.items()])
    said = capsys.readouterr().out
    assert all(name in said for name in found)


def test_ratios_are_those_of_the_same_round(capsys):
    trident = {"layout": "TRIDENT h5, chunks (1, D)", "rows": 1, "dim": 1}
    slow = {**trident, "read": [1, 1, 1], "used": [2.0, 40.0, 6.0]}
    fast = {**trident, "layout": "fast", "read": [0.1, 0.1, 0.1], "used": [1.0, 4.0, 2.0]}
    print_loading([slow, fast])
    assert capsys.readouterr().out.splitlines()[5].split("|")[-2].strip() == "3.0"


def test_waiting_is_measured_for_every_file_precision_and_home(tmp_path, capsys):
    rows = wait_rows("tiny", 2, tmp_path)
    assert len(rows) == 2 * 2 * len(HOMES)
    for row in rows:
        assert len(row["seconds"]) == 2
        assert all(0 < w < s for w, s in zip(row["waited"], row["seconds"], strict=True))
    print_waits(rows)
    assert "tiny, float16 file, precision bf16, --placement ram" in capsys.readouterr().out


def test_the_commands_end_as_they_should(capsys):
    rows = []
    for title, (words, code) in COMMANDS.items():
        if not title.endswith("show hmil"):
            rows.append({"command": title, "seconds": [answer_seconds(words, code)] * 2})
    print_cli(rows)
    assert BARE in capsys.readouterr().out
    with pytest.raises(UsageError, match="ended with 0, expected 2"):
        answer_seconds(COMMANDS[BARE][0], 2)
