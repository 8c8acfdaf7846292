"""What a SIGKILL costs a run by way of the Batch API, at any instant: nothing."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from persona_assets.generation import CallRecord, Endpoint, Journal, Usage
from persona_assets.generation.batch import BatchTransport
from persona_assets_tests.generation.batch_sending import Purse, land
from persona_assets_tests.generation.batch_server import BatchServer
from persona_assets_tests.generation.sample_calls import CANARY, call

if TYPE_CHECKING:
    import openai

ROWS = 5
"""Of a run that is killed, in files of three."""


class Runs:
    """Runs in processes of their own, forked from one that has imported everything."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self.process = process
        self.folder = folder

    def run(self, name: str, *, die: int = 0, rows: int = ROWS) -> int:
        """Exit status of a run that is killed before its `die`-th change of the disk, if any."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = [str(self.folder / name / "journal.jsonl"), name, rows, die]
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def check(self, server: BatchServer, name: str, rows: int = ROWS) -> None:
        """Each key was answered, journaled and paid for once."""
        keys = {call(f"{name} {row}").key for row in range(rows)}
        path = self.folder / name / "journal.jsonl"
        assert Counter(record.key for record in Journal(path).records()) == Counter(keys)
        assert {server.billed[key] for key in keys} == {1}
        again = call(f"{name} 0").key
        assert {server.sent[key] for key in keys - {again}} == {1}
        assert server.sent[again] == (2 if f"{name} 0" in server.lines else 1)


@contextmanager
def runs(server: BatchServer, folder: Path) -> Iterator[Runs]:
    module = "persona_assets_tests.generation.batch.test_batch_kill"
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", module, server.url, str(folder)],
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


def test_a_kill_before_any_change_of_the_disk_costs_nothing(tmp_path: Path) -> None:
    with BatchServer() as server, runs(server, tmp_path) as started:
        status = -signal.SIGKILL
        point = 0
        while status == -signal.SIGKILL:
            point += 1
            name = f"point {point}"
            # One batch, and another for the row that it loses.
            server.lines[f"{name} 0"] = ["missing"]
            status = started.run(name, die=point, rows=3)
            if status == -signal.SIGKILL:
                assert started.run(name, rows=3) == 0
            started.check(server, name, rows=3)
        assert status == 0
        assert point > 30


KILLS = ("kill-early", "kill", "kill-late")


def test_a_kill_at_any_request_costs_nothing(tmp_path: Path) -> None:
    with BatchServer(page=1) as server, runs(server, tmp_path) as started:
        for kind in ("upload", "create", "retrieve", "content"):
            for step in KILLS:
                for before in range(2):
                    name = f"{kind} {step} {before}"
                    server.lines[f"{name} 0"] = ["expired"]
                    server.faults[kind] = ["ok"] * before + [step]
                    assert started.run(name) == -signal.SIGKILL
                    assert started.run(name) == 0
                    started.check(server, name)


def test_a_kill_while_looking_for_what_an_earlier_kill_left(tmp_path: Path) -> None:
    with BatchServer(page=1) as server, runs(server, tmp_path) as started:
        for kind, listed in (("upload", "files"), ("create", "batches")):
            for step in KILLS:
                name = f"{kind} {step}"
                server.faults = {kind: ["kill"], listed: [step]}
                assert started.run(name) == -signal.SIGKILL
                assert started.run(name) == -signal.SIGKILL
                assert started.run(name) == 0
                started.check(server, name)


def main(url: str, folder: str) -> None:
    """Forks a run for each line of standard input and tells how it ended."""
    # What is imported when it is first needed is imported here, for all, and without a thread: one
    # that has just ended may still hold locks, which would stay locked in the forks.
    with open_client(url) as client:
        client.batches.list()
        client.files.create(file=("another.jsonl", b"{}"), purpose="batch")
    with Journal(Path(folder) / "first.jsonl") as journal:
        journal.append(CallRecord("key", 200, {}))
        journal.get("key")
    print(flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run_to_the_end(url, *json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def open_client(url: str) -> "openai.OpenAI":
    import openai

    headers = {"x-pid": str(os.getpid())}
    return openai.OpenAI(api_key=CANARY, base_url=url, max_retries=0, default_headers=headers)


def run_to_the_end(url: str, path: str, name: str, rows: int, die: int) -> None:
    changes = 0

    def change() -> None:
        nonlocal changes
        changes += 1
        if changes == die:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        changing = event in CHANGES or (event == "open" and arguments[1] == "wb")
        if changing and ".batches" in str(arguments):
            change()

    class Watched(Journal):
        def append(self, *records: CallRecord) -> None:
            change()
            super().append(*records)
            change()

    sys.addaudithook(audit)
    endpoint = Endpoint(model="test-model", base_url=url, batch_poll=0.01)
    with Watched(path) as journal:
        batches = BatchTransport(
            endpoint,
            journal,
            Usage(),
            Purse(),
            client=lambda: open_client(url),
            most_requests=3,
        )
        calls = [call(f"{name} {row}") for row in range(rows)]
        land(batches, [it for it in calls if it.key not in journal])
        batches.close()


CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir"})

if __name__ == "__main__":
    main(*sys.argv[1:])
