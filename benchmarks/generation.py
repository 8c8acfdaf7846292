"""The generation engine against a chat endpoint on this machine, compared with other clients.

    python benchmarks/generation.py --latency-ms 200 --concurrency 64 256 1024 --requests 8000
    python benchmarks/generation.py --peers         # with curator and distilabel, from PyPI
    python benchmarks/generation.py quota --seconds 60
    python benchmarks/generation.py stream --rows 1000000
    python benchmarks/generation.py kills
    python benchmarks/generation.py faults --requests 8000

Prints a JSON object per line. The first two commands compare clients: each in a process of its
own, in turn, against the same server (peers/clients.py describes each client and the span of its
clock). `python benchmarks/generation.py quota --help` describes the figures of a mode.

Figures:
    client: Name of the client. `ratios` in the last line.
    concurrency: Most requests in flight.
    rps: Requests per second.
    cpu_ms_per_request: CPU milliseconds per request.
    efficiency: rps / (concurrency / latency). 1 if `concurrency` requests are always in flight.
    rss_mb: Peak memory of the client's process in MB.
    requests: Number of requests.
    billed: Number of requests that the server computed. Above `requests`, calls were paid twice.
    version: Version of the client.
    error: Message of a client that could not be installed or run. It has no figures.

The last line holds, for each concurrency: requests per second of the engine over those of two other
clients, its CPU time per request over that of openai-aiohttp, and its efficiency.
"""

import argparse
import inspect
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from figures import print_figures
from peers.clients import control, endpoint, requests
from peers.compare import LONGEST, command, compare, disk_folder

from persona_assets.generation import Engine, Journal, complete

PYTHON = Path(sys.executable)
Process = subprocess.Popen[Any]
ROW = re.compile(r"row (\d+)")


@contextmanager
def serve(**settings: float) -> Iterator[str]:
    """Start generation_server.py in a process of its own and yield its URL.

    Args:
        settings: Settings of the server, see its module.
    """
    script = Path(__file__).with_name("generation_server.py")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        control(url, settings)
        yield url


@contextmanager
def sending(url: str, places: int, into: Path, rows: int = 10**9) -> Iterator[Process]:
    """Run the engine in a process of its own, which is killed at the end of the block."""
    with subprocess.Popen(command(PYTHON, "engine", url, places, rows, into, 0)) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(url: str, billed: int, process: Process) -> None:
    """Wait until the server has billed a number of requests of `process`."""
    end = time.monotonic() + LONGEST
    while control(url)["billed"] < billed:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the run ended or stopped before {billed} requests were billed")
        time.sleep(0.01)


def answered_rows(journal: Path) -> Iterator[int]:
    """Yield the rows that have an answer in a journal, in its order."""
    for record in Journal(journal).records():
        if record.answered and (match := ROW.search(record.choice["message"]["content"])):
            yield int(match[1])


def speed(options: argparse.Namespace) -> None:
    """Compare clients."""
    settings = {name: value for name, value in vars(options).items() if name != "mode"}
    with serve(latency_ms=options.latency_ms) as url:
        for line in compare(url, **settings):
            print_figures(line)


def quota(options: argparse.Namespace) -> None:
    """Offer four times the quota of an account to two servers.

    The first server reports its limits in x-ratelimit-* headers, the second only by 429 and
    Retry-After.

    Figures:
        mode: quota.
        headers: True for the server with x-ratelimit-* headers.
        quota_per_s: Requests per second that the server admits.
        goodput: Share of the quota that was used after the warm-up. Above 1 if the server's bucket
            held unused requests before.
        share_429: Share of all requests, warm-up included, that were answered with 429.
        violations: Number of requests, warm-up included, that were sent during a Retry-After.
        requests: Number of requests, warm-up included.
    """
    admitted = options.concurrency / (options.latency_ms / 1000) / 4
    for headers in (True, False):
        settings = {"latency_ms": options.latency_ms, "quota": admitted, "headers": headers}
        with (
            serve(**settings) as url,
            disk_folder() as into,
            sending(url, options.concurrency, into) as process,
        ):
            wait_for(url, 1, process)
            time.sleep(options.warm_up)
            before, began = control(url)["billed"], time.monotonic()
            time.sleep(options.seconds - options.warm_up)
            counts, seconds = control(url), time.monotonic() - began
        print_figures(
            {
                "mode": "quota",
                "headers": headers,
                "quota_per_s": admitted,
                "goodput": (counts["billed"] - before) / seconds / admitted,
                "share_429": counts["rejected"] / counts["asked"],
                "violations": counts["violations"],
                "requests": counts["asked"],
            }
        )


def stream(options: argparse.Namespace) -> None:
    """Send rows without latency, then open the journal again.

    Prints a line every 100,000 rows, or every tenth of fewer than 1,000,000 rows, and a last line
    for opening the journal.

    Figures:
        mode: stream, or replay for the last line.
        rows: Number of rows answered so far, or in the journal.
        rss_mb: Memory of the process in MB.
        journal_mb: Size of the journal in MB.
        rps: Rows per second since the start.
        billed: Number of requests that the server computed.
        seconds, seconds_per_100k: Wall seconds to open the journal, and seconds per 100,000 rows.
    """
    every = max(1, min(100_000, options.rows // 10))
    process = psutil.Process()
    with serve() as url, disk_folder() as into:
        target = endpoint(url, options.concurrency)
        path, began = into / "stream.jsonl", time.monotonic()
        with Journal(path) as journal:
            answers = complete(requests(options.rows), Engine(target, journal))
            for row, answer in enumerate(answers, start=1):
                assert answer.status == "ok", answer.reason
                if row % every == 0:
                    rss = process.memory_info().rss / 2**20
                    mb = sum(file.stat().st_size for file in into.iterdir()) / 2**20
                    rps = row / (time.monotonic() - began)
                    print_figures(
                        {"mode": "stream", "rows": row, "rss_mb": rss, "journal_mb": mb, "rps": rps}
                    )
        billed, began = control(url)["billed"], time.monotonic()
        with Journal(path) as journal:
            seconds, rows = time.monotonic() - began, len(journal)
        print_figures(
            {
                "mode": "replay",
                "rows": rows,
                "billed": billed,
                "seconds": seconds,
                "seconds_per_100k": seconds / rows * 100_000,
                "rss_mb": process.memory_info().rss / 2**20,
            }
        )


def kills(options: argparse.Namespace) -> None:
    """Kill a run with SIGKILL at random points, then let it finish.

    Figures:
        mode: kills.
        kills: Number of kills.
        rows: Number of rows.
        completed: True if the last run succeeded.
        keys_once: True if each row has exactly 1 answer in the journal.
        paid_twice: Number of computed requests in excess of the rows. At most `allowed`.
        allowed: Most calls in flight, summed over the kills.
        asked_again: Number of requests for rows whose answer was in the journal before. Must be 0.
    """
    rows, places = options.requests, options.concurrency
    points = sorted(random.Random(options.seed).sample(range(1, rows - places), options.kills))
    journalled: dict[int, int] = {}
    with serve(latency_ms=50, rows=True) as url, disk_folder() as into:
        journal = into / f"{rows}.jsonl"
        for point in points:
            with sending(url, places, into, rows) as process:
                wait_for(url, max(point, control(url)["billed"] + 1), process)
            asked = control(url)["rows"]
            journalled = {row: asked[str(row)] for row in answered_rows(journal)} | journalled
        words = command(PYTHON, "engine", url, places, rows, into, 0)
        last = subprocess.run(words, stdout=subprocess.DEVNULL)
        counts, answers = control(url), list(answered_rows(journal))
    print_figures(
        {
            "mode": "kills",
            "kills": len(points),
            "rows": rows,
            "completed": last.returncode == 0,
            "keys_once": sorted(answers) == list(range(rows)),
            "paid_twice": counts["billed"] - rows,
            "allowed": len(points) * places,
            "asked_again": sum(counts["rows"][str(row)] - n for row, n in journalled.items()),
        }
    )


def faults(options: argparse.Namespace) -> None:
    """Inject faults of all kinds into a share of the requests.

    Every answer is final: invalid answers are not asked again.

    Figures:
        mode: faults.
        rows: Number of rows.
        ok: Number of rows with a valid answer.
        quarantined: Number of rows that were dropped with a reason.
        unaccounted: Number of rows with neither. Must be 0.
        outcomes: Number of rows by outcome.
        met: Number of injected faults by kind.
        billed: Number of requests that the server computed.
        longest_call_s: Most seconds of a call, from its first request to the end of its last.
        deadline_s: Deadline of a call in seconds.
    """
    outcomes: Counter[str] = Counter()
    with serve(latency_ms=20, faults=options.share, rows=True) as url, disk_folder() as into:
        settings = {"timeout": 1, "deadline": 20, "reasks": 0, "larger_retry": 1}
        target = endpoint(url, options.concurrency, **settings)
        with Journal(into / "faults.jsonl") as journal:
            for answer in complete(requests(options.requests), Engine(target, journal)):
                outcomes[answer.reason if answer.status == "error" else answer.status] += 1
        counts = control(url)
    print_figures(
        {
            "mode": "faults",
            "rows": options.requests,
            "ok": outcomes["ok"],
            "quarantined": outcomes.total() - outcomes["ok"],
            "unaccounted": options.requests - outcomes.total(),
            "outcomes": dict(outcomes),
            "met": counts["met"],
            "billed": counts["billed"],
            "longest_call_s": counts["longest"],
            "deadline_s": target.deadline,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(mode=speed)
    parser.add_argument("--latency-ms", type=float, default=200)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--peer-requests", type=int)
    modes = parser.add_subparsers()
    flags: dict[Callable[[argparse.Namespace], None], dict[str, float]] = {
        quota: {"latency-ms": 200.0, "concurrency": 64, "seconds": 60.0, "warm-up": 10.0},
        stream: {"rows": 1_000_000, "concurrency": 256},
        kills: {"requests": 4000, "concurrency": 64, "kills": 20, "seed": 1},
        faults: {"requests": 8000, "concurrency": 64, "share": 0.1},
    }
    for mode, numbers in flags.items():
        command_line = modes.add_parser(
            mode.__name__,
            description=inspect.getdoc(mode),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command_line.set_defaults(mode=mode)
        for name, value in numbers.items():
            command_line.add_argument(f"--{name}", type=type(value), default=value)
    options = parser.parse_args()
    options.mode(options)


if __name__ == "__main__":
    main()
