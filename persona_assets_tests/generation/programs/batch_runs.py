"""Fork a batch run for each line of standard input, and print its exit status.

A line is a JSON array: the run's journal, its name, its number of rows, and the number of the
change of the disk before which the run kills itself, 0 for none. The API server may kill the run by
the process id in the header x-pid.

python -m persona_assets_tests.generation.programs.batch_runs URL FOLDER
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from persona_assets.generation import CallRecord, Endpoint, Journal, Usage
from persona_assets.generation.batch import BatchTransport
from persona_assets_tests.generation.batch_sending import FlatSpending, land
from persona_assets_tests.generation.sample_calls import CANARY, call

if TYPE_CHECKING:
    import openai

CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir"})


def main(url: str, folder: str) -> None:
    # Imports on first use happen here, once for all runs, and without a thread: a thread that has
    # just ended may still hold locks, which would stay locked in the forks.
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
    """Send the calls of a run that the journal does not contain."""
    changes = 0

    def count_change() -> None:
        nonlocal changes
        changes += 1
        if changes == die:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        changing = event in CHANGES or (event == "open" and arguments[1] == "wb")
        if changing and ".batches" in str(arguments):
            count_change()

    class WatchedJournal(Journal):
        """Journal that counts a change before and after each write."""

        def append(self, *records: CallRecord) -> None:
            count_change()
            super().append(*records)
            count_change()

    sys.addaudithook(audit)
    endpoint = Endpoint(model="test-model", base_url=url, batch_poll=0.01)
    with WatchedJournal(path) as journal:
        batches = BatchTransport(
            endpoint,
            journal,
            Usage(),
            FlatSpending(),
            client=lambda: open_client(url),
            most_requests=3,
        )
        calls = [call(f"{name} {row}") for row in range(rows)]
        land(batches, [needed for needed in calls if needed.key not in journal])
        batches.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
