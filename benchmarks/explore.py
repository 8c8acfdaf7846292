"""Time to answer the requests of `persona-assets explore`, and memory of its server.

    python benchmarks/explore.py --rows 1000000 --personas personas.jsonl --field "input persona"
    python benchmarks/explore.py --rows 1000000 --keep /data/explore

Personas are recombined from those of `--personas`, JSON lines that the embedded model embeds;
without a file they are made-up words and random vectors, and no query is embedded. Shards have
10,000 personas. The server is the command itself, in a process of its own, asked over HTTP by
one client. `--keep` builds the project once and uses it again.

Prints a JSON object on the start, and one for each kind of request. Bars at a million personas on
two cores: start 20 s, 2,500 MB, words 100 ms, meaning 150 ms, row 150 ms, map 400 ms.

Figures:
    rows, shards: Numbers of personas and of shards.
    start_s: Seconds until the server answers.
    start_cpu_s: CPU seconds of the server until then, the import of Python packages included.
    rss_mb: Largest memory of the server over all requests, in MB.
    request: Kind of request: the first page; words that are frequent and rare; words with filters;
        meaning; a persona; the dropped rows; the map, whole and of a search.
    asked: Number of requests.
    p50_ms, p95_ms: Wall time of a request.
    cpu_ms: CPU time of the server for a request, mean.
    kb: Size of a response, mean.
"""

import argparse
import contextlib
import http.client
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

import polars as pl
from explore_data import SHARD_ROWS, MadeUpProject, made_up_base, read_base
from figures import print_figures

WITH_FILTERS = {"hop": "1", "language": "en", "verdict": "in the hub"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--shard-rows", type=int, default=SHARD_ROWS)
    parser.add_argument("--personas", type=Path, help="JSON lines")
    parser.add_argument("--field", default="persona")
    parser.add_argument("--base", type=int, default=5_000, help="number of texts to recombine")
    parser.add_argument("--requests", type=int, default=100, help="requests of a kind")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the project there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch) / "project"
        if not (folder / "catalog.duckdb").exists():
            base = (
                read_base(options.personas, options.field, options.base)
                if options.personas
                else made_up_base(options.base)
            )
            MadeUpProject(folder, base, options.shard_rows).write(options.rows)
        measure(folder, options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Start the server, send all requests and print the figures."""
    personas = pl.concat(
        pl.read_parquet(path, columns=["persona_id", "persona"])
        for path in sorted((folder / "tables" / "persona_hub").glob("*.parquet"))[:20]
    )
    start = time.perf_counter()
    with server(folder) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        ask(connection, "/")
        seconds, cpu = time.perf_counter() - start, cpu_seconds(process)
        shards = len(list((folder / "tables" / "persona_candidates").iterdir()))
        figures = {"rows": options.rows, "shards": shards, "start_s": seconds, "start_cpu_s": cpu}
        kinds = requests(personas, options.requests, with_meaning=options.personas is not None)
        measured = [measure_kind(kind, connection, process, paths) for kind, paths in kinds.items()]
        print_figures({**figures, "rss_mb": peak_mb(process)})
        for line in measured:
            print_figures(line)


def requests(
    personas: pl.DataFrame, number: int, *, with_meaning: bool
) -> dict[str, Sequence[str]]:
    """Return addresses by kind of request."""
    draw = random.Random(0)
    texts = personas["persona"].sample(number, with_replacement=True, seed=0).to_list()
    ids = personas["persona_id"].sample(number, with_replacement=True, seed=1).to_list()
    pairs = [" ".join(draw.sample(text.split(), 2)) for text in texts]
    single = [draw.choice(text.split()) for text in texts]
    half = number // 2
    meaning = {"meaning": [view(q=text, by="meaning") for text in texts]} if with_meaning else {}
    return {
        "first page": ["/"] * number,
        "words": [view(q=words) for words in [*pairs[:half], *single[half:]]],
        "words with filters": [view(q=words, **WITH_FILTERS) for words in single],
        **meaning,
        "row": [f"/row/{row_id}" for row_id in ids],
        "dropped": ["/dropped?asset=persona_hub&reason=semantic_duplicate"] * number,
        "map": [
            f"/map.png?{urlencode({'q': words} if place % 2 else {})}"
            for place, words in enumerate(single)
        ],
    }


def view(**query: str) -> str:
    """Return the address of a view."""
    return f"/?{urlencode(query)}"


def measure_kind(
    kind: str,
    connection: http.client.HTTPConnection,
    process: int,
    paths: Sequence[str],
) -> dict[str, object]:
    """Send the requests of a kind one after another."""
    sizes = [ask(connection, paths[0])]
    before, milliseconds = cpu_seconds(process), list[float]()
    for path in paths:
        start = time.perf_counter()
        sizes.append(ask(connection, path))
        milliseconds.append(1000 * (time.perf_counter() - start))
    cpu = 1000 * (cpu_seconds(process) - before) / len(paths)
    ordered = sorted(milliseconds)
    return {
        "request": kind,
        "asked": len(paths),
        "p50_ms": statistics.median(ordered),
        "p95_ms": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "cpu_ms": cpu,
        "kb": statistics.mean(sizes) / 1000,
    }


def ask(connection: http.client.HTTPConnection, path: str) -> int:
    """Send a request and return the size of the response."""
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status not in (200, 303):
        raise RuntimeError(f"{path}: {response.status}")
    return len(body)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[int, int]]:
    """Run the command on a project; yields its process id and its port."""
    environment = {**os.environ, "PERSONA_PROFILE": "demo", "PERSONA_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "persona_assets.cli", "explore", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "http://" in line:
                port = line.partition("http://")[2].partition(",")[0].rpartition(":")[2]
                yield process.pid, int(port)
                break
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def cpu_seconds(process: int) -> float:
    """Return the CPU seconds of a process of Linux so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(process: int) -> int:
    """Return the largest memory of a process of Linux so far."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    [peak] = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(peak) // 1024


if __name__ == "__main__":
    main()
