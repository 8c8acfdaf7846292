"""A SIGKILL costs at most the calls in flight, and no answer that was written."""

import json
import random
import signal
import subprocess
from pathlib import Path

from persona_assets.generation import Journal
from persona_assets_tests.generation.child_programs import command
from persona_assets_tests.generation.fault_server import FaultServer
from persona_assets_tests.generation.sample_calls import call

ROWS, CONCURRENCY, KILLS = 600, 16, 5


def start(server: FaultServer, journal: Path, result: Path) -> "subprocess.Popen[bytes]":
    arguments = command("run_rows", server.url, journal, ROWS, CONCURRENCY, result)
    return subprocess.Popen(arguments)


def test_killed_run_leaves_each_key_once_and_pays_twice_for_no_more_than_the_calls_in_flight(
    tmp_path: Path,
) -> None:
    path, result = tmp_path / "shard.jsonl", tmp_path / "result.json"
    points = random.Random().sample(range(20, ROWS - 200), KILLS)
    keys = {call(f"row {n}").key: f"row {n}" for n in range(ROWS)}
    with FaultServer(latency=0.01) as server:
        for point in sorted(points):
            child = start(server, path, result)
            server.wait_for(point)
            child.send_signal(signal.SIGKILL)
            child.wait()
        kept = [keys[record.key] for record in Journal(path).records()]
        asked = {row: server.asked[row] for row in kept}
        assert len(kept) == len(set(kept))
        assert start(server, path, result).wait() == 0
        assert {row: server.asked[row] for row in kept} == asked
    done = json.loads(result.read_text())
    assert done["keys"] == list(keys)
    assert done["calls"] == ROWS - len(kept)
    assert set(server.billed) == set(keys.values())
    assert server.billed.total() - ROWS <= KILLS * CONCURRENCY
    with Journal(path) as journal:
        assert len(journal) == ROWS
