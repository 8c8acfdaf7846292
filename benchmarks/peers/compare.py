"""Comparison of clients: the engine, plain clients, and peers in environments of their own."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from peers.clients import control
from peers.environments import CACHE, error_message, peer_python

SCRIPT = Path(__file__).with_name("clients.py")
LONGEST = 600
"""Seconds after which a client is stopped."""

PLAIN = ("engine", "openai-default", "openai-aiohttp", "raw-aiohttp")
PEERS = {
    "curator": ["bespokelabs-curator"],
    # distilabel imports requests without requiring it.
    "distilabel": ["distilabel[openai]", "requests"],
}
"""Requirements of the clients that have an environment of their own."""

Line = dict[str, Any]


@contextmanager
def disk_folder() -> Iterator[Path]:
    """Create an empty folder on a disk, deleted at the end of the block."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        yield Path(name)


def compare(
    url: str,
    *,
    latency_ms: float,
    concurrency: Sequence[int],
    requests: int,
    peer_requests: int | None,
    peers: bool,
    repeat: int,
) -> Iterator[Line]:
    """Yield the figures of each client, medians of `repeat` runs, or its error. Ratios are last."""
    pythons = dict.fromkeys(PLAIN, Path(sys.executable))
    for client in PEERS if peers else ():
        try:
            pythons[client] = peer_python(CACHE / client, PEERS[client])
        except subprocess.CalledProcessError as error:
            yield {"client": client, "error": error_message(error.stderr)}
    ratios = {}
    for places in concurrency:
        runs: dict[str, list[Line]] = {client: [] for client in pythons}
        for _ in range(repeat):
            for client, python in pythons.items():
                number = peer_requests or requests if client in PEERS else requests
                runs[client].append(run(python, client, url, places, number, latency_ms))
        lines = {client: medians(figures) for client, figures in runs.items()}
        for client, line in lines.items():
            yield {"client": client, "concurrency": places, **line}
        ratios[str(places)] = ratio(lines)
    yield {"client": "ratios", **ratios}


def command(
    python: Path, client: str, url: str, places: int, number: int, into: Path, warm_up: int = 8
) -> list[str]:
    """Return the command line of a run of a client, see clients.py."""
    words = (python, SCRIPT, client, url, places, number, into, "--warm-up", warm_up)
    return [str(word) for word in words]


def run(python: Path, client: str, url: str, places: int, number: int, latency_ms: float) -> Line:
    """Run a client once and return its figures, or an `error`."""
    with disk_folder() as into:
        words = command(python, client, url, places, number, into)
        try:
            process = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {LONGEST} s"}
    if process.returncode:
        return {"error": error_message(process.stderr)}
    figures = json.loads(process.stdout.splitlines()[-1])
    rps = number / figures["seconds"]
    return {
        "rps": rps,
        "cpu_ms_per_request": 1000 * figures["cpu_s"] / number,
        "efficiency": rps * latency_ms / 1000 / places,
        "rss_mb": figures["rss_mb"],
        "requests": number,
        "billed": control(url)["billed"],
        "version": figures["version"],
    }


def medians(runs: Sequence[Line]) -> Line:
    """Return the medians of all figures, or the first error."""
    for line in runs:
        if "error" in line:
            return line
    return {
        name: median(line[name] for line in runs) if isinstance(value, int | float) else value
        for name, value in runs[0].items()
    }


def ratio(lines: Mapping[str, Line]) -> Line:
    """Return ratios of the engine's figures to those of other clients, None without figures."""

    def over(name: str, other: str) -> float | None:
        ours, theirs = lines["engine"].get(name), lines[other].get(name)
        return ours / theirs if ours and theirs else None

    return {
        "rps_over_openai_default": over("rps", "openai-default"),
        "rps_over_raw_aiohttp": over("rps", "raw-aiohttp"),
        "cpu_over_openai_aiohttp": over("cpu_ms_per_request", "openai-aiohttp"),
        "efficiency": lines["engine"].get("efficiency"),
    }
