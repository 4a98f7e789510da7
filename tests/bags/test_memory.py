import pytest

from mil_bench.bags.placement import available_memory

MEMINFO = "MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:   600 kB\nBuffers: 5 kB\n"


@pytest.fixture
def system(tmp_path):
    """A system with 600 kB to give and two nested control groups without limits."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(MEMINFO)
    (proc / "self" / "cgroup").write_text("9:name=systemd:/\n0::/job_7/step_0\n")
    for group in ("job_7", "job_7/step_0"):
        (groups / group).mkdir(parents=True)
        (groups / group / "memory.max").write_text("max\n")
    return proc, groups


def test_without_limits_it_is_what_the_system_could_give(system):
    assert available_memory(*system) == 600 * 1024


@pytest.mark.parametrize("group", ["job_7", "job_7/step_0"])
def test_a_control_group_leaves_its_limit_less_what_cannot_be_dropped(system, group):
    folder = system[1] / group
    (folder / "memory.max").write_text("300000\n")
    (folder / "memory.stat").write_text("anon 100000\nfile 150000\nkernel_stack 3\n")
    assert available_memory(*system) == 200_000


def test_a_group_beyond_its_limit_leaves_nothing(system):
    (system[1] / "job_7" / "memory.max").write_text("300000\n")
    (system[1] / "job_7" / "memory.stat").write_text("anon 300001\nfile 0\n")
    assert available_memory(*system) == 0


def test_this_machine_has_some_memory_to_give():
    assert 2**20 < available_memory() < 2**60
