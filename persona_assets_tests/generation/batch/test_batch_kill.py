"""A kill of a batch run at any instant loses no response and pays for none twice."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from persona_assets.generation import Journal
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.child_programs import command
from persona_assets_tests.generation.sample_calls import call

ROWS = 5
"""Number of rows of a run that is killed, in files of three."""


class Runs:
    """Runs in processes of their own, forked from a process that has imported all modules."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self.process = process
        self.folder = folder

    def run(self, name: str, *, die: int = 0, rows: int = ROWS) -> int:
        """Return the exit status of a run that is killed before its `die`-th change of the disk."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        request = [str(self.folder / name / "journal.jsonl"), name, rows, die]
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def check(self, server: BatchServer, name: str, rows: int = ROWS) -> None:
        """Assert that each key was answered, journaled and paid for once."""
        keys = {call(f"{name} {row}").key for row in range(rows)}
        path = self.folder / name / "journal.jsonl"
        assert Counter(record.key for record in Journal(path).records()) == Counter(keys)
        assert {server.billed[key] for key in keys} == {1}
        scripted = call(f"{name} 0").key
        assert {server.sent[key] for key in keys - {scripted}} == {1}
        assert server.sent[scripted] == (2 if f"{name} 0" in server.lines else 1)


@contextmanager
def runs(server: BatchServer, folder: Path) -> Iterator[Runs]:
    """Start the process from which runs are forked."""
    process = subprocess.Popen(
        command("batch_runs", server.url, folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        yield Runs(process, folder)
        assert process.stdin is not None
        process.stdin.close()


def test_kill_before_any_change_of_the_disk_costs_nothing(tmp_path: Path) -> None:
    with BatchServer() as server, runs(server, tmp_path) as forked:
        status = -signal.SIGKILL
        point = 0
        while status == -signal.SIGKILL:
            point += 1
            name = f"point {point}"
            # A batch, and another batch for the row whose result is missing.
            server.lines[f"{name} 0"] = ["missing"]
            status = forked.run(name, die=point, rows=3)
            if status == -signal.SIGKILL:
                assert forked.run(name, rows=3) == 0
            forked.check(server, name, rows=3)
        assert status == 0
        assert point > 30


KILLS = ("kill-early", "kill", "kill-late")


def test_kill_at_any_request_costs_nothing(tmp_path: Path) -> None:
    with BatchServer(page=1) as server, runs(server, tmp_path) as forked:
        for kind in ("upload", "create", "retrieve", "content"):
            for step in KILLS:
                for before in range(2):
                    name = f"{kind} {step} {before}"
                    server.lines[f"{name} 0"] = ["expired"]
                    server.faults[kind] = ["ok"] * before + [step]
                    assert forked.run(name) == -signal.SIGKILL
                    assert forked.run(name) == 0
                    forked.check(server, name)


def test_kill_during_the_search_after_an_earlier_kill_costs_nothing(tmp_path: Path) -> None:
    with BatchServer(page=1) as server, runs(server, tmp_path) as forked:
        for kind, listed in (("upload", "files"), ("create", "batches")):
            for step in KILLS:
                name = f"{kind} {step}"
                server.faults = {kind: ["kill"], listed: [step]}
                assert forked.run(name) == -signal.SIGKILL
                assert forked.run(name) == -signal.SIGKILL
                assert forked.run(name) == 0
                forked.check(server, name)
