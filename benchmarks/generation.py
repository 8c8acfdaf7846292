"""The generation engine against a chat endpoint on this machine; prints one JSON object a line.

    python benchmarks/generation.py --latency-ms 200 --concurrency 64 256 1024 --requests 8000
    python benchmarks/generation.py --peers         # curator and distilabel too, from PyPI
    python benchmarks/generation.py quota --seconds 60
    python benchmarks/generation.py stream --rows 1000000
    python benchmarks/generation.py kills
    python benchmarks/generation.py faults --requests 8000

The first two compare clients: each in a process of its own, one after the other, against the same
server (peers/clients.py says what each does and what its clock covers).

    efficiency  rps / (concurrency / latency): 1 is every place taken all the time.
    rss_mb      the most memory that the client's process had.
    billed      what the server computed: more than `requests` is a call paid for twice.
    error       instead of figures: the client could not be installed or run.
    ratios      the last line, by concurrency: the engine's requests a second over those of others,
                its CPU time for a request over that of openai-aiohttp, and its efficiency.
"""

import argparse
import json
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
from peers.clients import control, endpoint, requests
from peers.compare import LONGEST, command, compare, folder

from persona_assets.generation import Engine, Journal, complete

PYTHON = Path(sys.executable)
Process = subprocess.Popen[Any]
ROW = re.compile(r"row (\d+)")


@contextmanager
def serve(**settings: float) -> Iterator[str]:
    """The URL of a generation_server.py in a process of its own, with these settings."""
    script = Path(__file__).with_name("generation_server.py")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        control(url, settings)
        yield url


@contextmanager
def sending(url: str, places: int, into: Path, rows: int = 10**9) -> Iterator[Process]:
    """The engine at work in a process of its own, which is killed in the end."""
    with subprocess.Popen(command(PYTHON, "engine", url, places, rows, into, 0)) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(url: str, billed: int, process: Process) -> None:
    """Returns once so many requests have been billed to `process`."""
    end = time.monotonic() + LONGEST
    while control(url)["billed"] < billed:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the run ended or stood still before {billed} requests had come")
        time.sleep(0.01)


def answered(journal: Path) -> Iterator[int]:
    """The rows that a journal has answers for, in its order."""
    for record in Journal(journal).records():
        if record.answered and (found := ROW.search(record.choice["message"]["content"])):
            yield int(found[1])


def tell(**line: Any) -> None:
    print(json.dumps(rounded(line)), flush=True)


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(member) for name, member in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def speed(options: argparse.Namespace) -> None:
    settings = {name: value for name, value in vars(options).items() if name != "mode"}
    with serve(latency_ms=options.latency_ms) as url:
        for line in compare(url, **settings):
            tell(**line)


def quota(options: argparse.Namespace) -> None:
    """Offers four times what the account may send, once to a server that tells its limits in
    x-ratelimit-* headers and once to one that says no more than 429 and Retry-After.

    goodput is the share of the quota that was used after the warm-up, a little above 1 where some
    was saved up before; share_429, of all requests, and violations, requests that came during a
    Retry-After, count from the first request.
    """
    admitted = options.concurrency / (options.latency_ms / 1000) / 4
    for headers in (True, False):
        settings = {"latency_ms": options.latency_ms, "quota": admitted, "headers": headers}
        with (
            serve(**settings) as url,
            folder() as into,
            sending(url, options.concurrency, into) as process,
        ):
            wait_for(url, 1, process)
            time.sleep(options.warm_up)
            before, began = control(url)["billed"], time.monotonic()
            time.sleep(options.seconds - options.warm_up)
            counts, seconds = control(url), time.monotonic() - began
        tell(
            mode="quota",
            headers=headers,
            quota_per_s=admitted,
            goodput=(counts["billed"] - before) / seconds / admitted,
            share_429=counts["rejected"] / counts["asked"],
            violations=counts["violations"],
            requests=counts["asked"],
        )


def stream(options: argparse.Namespace) -> None:
    """Sends rows as fast as they go, tells the memory in use every 100,000 rows (ten times if there
    are fewer than a million), and then opens the journal anew.
    """
    every = max(1, min(100_000, options.rows // 10))
    process = psutil.Process()
    with serve() as url, folder() as into:
        asked = endpoint(url, options.concurrency)
        path, began = into / "stream.jsonl", time.monotonic()
        with Journal(path) as journal:
            answers = complete(requests(options.rows), Engine(asked, journal))
            for row, answer in enumerate(answers, start=1):
                assert answer.status == "ok", answer.reason
                if row % every == 0:
                    rss = process.memory_info().rss / 2**20
                    mb = sum(file.stat().st_size for file in into.iterdir()) / 2**20
                    rps = row / (time.monotonic() - began)
                    tell(mode="stream", rows=row, rss_mb=rss, journal_mb=mb, rps=rps)
        billed, began = control(url)["billed"], time.monotonic()
        with Journal(path) as journal:
            seconds, kept = time.monotonic() - began, len(journal)
        tell(
            mode="replay",
            rows=kept,
            billed=billed,
            seconds=seconds,
            seconds_per_100k=seconds / kept * 100_000,
            rss_mb=process.memory_info().rss / 2**20,
        )


def kills(options: argparse.Namespace) -> None:
    """Kills a run with SIGKILL at random points, then lets it end.

    paid_twice is at most allowed, the calls in flight at each kill. keys_once: each row has one
    answer in the journal. asked_again, of rows that the journal had when the run was killed, is 0.
    """
    rows, places = options.requests, options.concurrency
    points = sorted(random.Random(options.seed).sample(range(1, rows - places), options.kills))
    kept: dict[int, int] = {}
    with serve(latency_ms=50, rows=True) as url, folder() as into:
        journal = into / f"{rows}.jsonl"
        for point in points:
            with sending(url, places, into, rows) as process:
                wait_for(url, max(point, control(url)["billed"] + 1), process)
            asked = control(url)["rows"]
            kept = {row: asked[str(row)] for row in answered(journal)} | kept
        words = command(PYTHON, "engine", url, places, rows, into, 0)
        done = subprocess.run(words, stdout=subprocess.DEVNULL)
        counts, answers = control(url), list(answered(journal))
    tell(
        mode="kills",
        kills=len(points),
        rows=rows,
        completed=done.returncode == 0,
        keys_once=sorted(answers) == list(range(rows)),
        paid_twice=counts["billed"] - rows,
        allowed=len(points) * places,
        asked_again=sum(counts["rows"][str(row)] - asked for row, asked in kept.items()),
    )


def faults(options: argparse.Namespace) -> None:
    """Meets mixed faults in a share of its requests, with every answer final: none is asked again
    for its form. unaccounted is 0, since each row is ok or has its reason.
    """
    outcomes: Counter[str] = Counter()
    with serve(latency_ms=20, faults=options.share, rows=True) as url, folder() as into:
        settings = {"timeout": 1, "deadline": 20, "reasks": 0, "larger_retry": 1}
        asked = endpoint(url, options.concurrency, **settings)
        with Journal(into / "faults.jsonl") as journal:
            for answer in complete(requests(options.requests), Engine(asked, journal)):
                outcomes[answer.reason if answer.status == "error" else answer.status] += 1
        counts = control(url)
    tell(
        mode="faults",
        rows=options.requests,
        ok=outcomes["ok"],
        quarantined=outcomes.total() - outcomes["ok"],
        unaccounted=options.requests - outcomes.total(),
        outcomes=dict(outcomes),
        met=counts["met"],
        billed=counts["billed"],
        longest_call_s=counts["longest"],
        deadline_s=asked.deadline,
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
        one = modes.add_parser(mode.__name__, description=mode.__doc__)
        one.set_defaults(mode=mode)
        for name, value in numbers.items():
            one.add_argument(f"--{name}", type=type(value), default=value)
    options = parser.parse_args()
    options.mode(options)


if __name__ == "__main__":
    main()
