"""Parts of the benchmark of a backfill under faults: it sees lost rows, and kills its own alone.

The whole of it takes minutes: `make chaos`.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_comparison_sees_lost_rows_of_a_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import chaos

    monkeypatch.setenv(chaos.KEY_VARIABLE, chaos.CANARY)
    with chaos.TimedServer() as server:
        usual = chaos.make_project(tmp_path / "usual", server, 1)
        assert {run.error for run in usual.run("+key:hop_1_personas")} == {""}
        other = usual.copy(tmp_path / "other", server)
    # A text's persona and its first hop, of the calls of all six.
    assert [key for _, key in server.billed_at] == [key for _, key in server.keys]
    assert 0 < len(server.keys) < chaos.CALLS
    assert chaos.lost_rows(usual, other, "000.txt") == 0
    rows = other.storage.footer("hop_1_personas", "000.txt").rows
    other.storage.path("hop_1_personas", "000.txt").unlink()
    assert chaos.lost_rows(usual, other, "000.txt") == rows > 0


def test_host_crash_ends_the_processes_of_the_project_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from chaos_services import Services

    def sleeper(home: str) -> "subprocess.Popen[bytes]":
        program = "import time; print(flush=True); time.sleep(600)  # spawn_main"
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "DAGSTER_HOME": home},
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        return process

    ours, other = sleeper(str(tmp_path)), sleeper(str(tmp_path / "other"))
    with ours, other:
        services = Services({**os.environ, "DAGSTER_HOME": str(tmp_path)}, tmp_path / "log")
        assert services.workers() == [ours.pid]
        services.kill_all()
        assert ours.wait(60) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()
