"""The programs in `examples/`: each runs as its head says, in a process and a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

from persona_assets_tests.generation.fault_server import FaultServer

ROOT = Path(__file__).parents[2]
ANSWER = '{"persona": "A birdwatcher who keeps a diary of swifts."}'


def run_example(name: str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PERSONA_")}
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "sk-example"},
        check=False,
    )


def test_near_duplicates_names_the_survivor_of_each_dropped_line(tmp_path: Path) -> None:
    done = run_example("near_duplicates", tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "dropped 'A retired miner who carves birds from driftwood, and sells them at the old "
        "harbour!'",
        "   kept 'A retired miner who carves birds from driftwood and sells them at the harbour.' "
        "(0.93)",
        "3 of 4 texts kept",
        "1 pair of similar vectors",
    ]


def test_near_duplicates_reads_a_file_of_lines(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("a b c\na b c d\nx\n")
    done = run_example("near_duplicates", tmp_path, "lines.txt", "--threshold", "3/4")
    assert done.stderr == ""
    assert "2 of 3 texts kept" in done.stdout


def test_paid_calls_requests_no_answer_twice(tmp_path: Path) -> None:
    with FaultServer(answer=lambda _: ANSWER) as server:
        arguments = ("--model", "m", "--base-url", server.url, "--price", "1", "2")
        first = run_example("paid_calls", tmp_path, *arguments)
        second = run_example("paid_calls", tmp_path, *arguments)
        assert server.billed.total() == 3
        assert server.authorizations == {"Bearer sk-example"}
    assert (first.stderr, second.stderr) == ("", "")
    assert first.stdout.splitlines()[0] == (
        "ok {'persona': 'A birdwatcher who keeps a diary of swifts.'}"
    )
    assert first.stdout.splitlines()[-1] == "3 calls, 0 from the journal"
    assert second.stdout.splitlines()[:-1] == first.stdout.splitlines()[:-1]
    assert second.stdout.splitlines()[-1] == "0 calls, 3 from the journal"


def test_paid_calls_stops_before_its_limit(tmp_path: Path) -> None:
    with FaultServer(answer=lambda _: ANSWER) as server:
        arguments = ("--model", "m", "--base-url", server.url, "--price", "1", "2")
        done = run_example("paid_calls", tmp_path, *arguments, "--limit", "0.00001")
        assert server.asked.total() == 0
    assert done.returncode == 1
    assert "--limit" in done.stderr
    assert "Traceback" not in done.stderr
