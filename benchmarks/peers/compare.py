"""Clients side by side: the engine, the plain clients, and peers in environments of their own."""

import json
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from peers.clients import control

SCRIPT = Path(__file__).with_name("clients.py")
CACHE = Path.home() / ".cache" / "persona_assets_benchmarks"
"""On a disk, as the temporary folder may not be: journals, and environments of peers."""

LONGEST = 600
"""Seconds after which a client is given up."""

PLAIN = ("engine", "openai-default", "openai-aiohttp", "raw-aiohttp")
PEERS = {
    "curator": ["bespokelabs-curator"],
    # It imports requests, which a library that it needs no longer brings along.
    "distilabel": ["distilabel[openai]", "requests"],
}
"""What pip installs for a client that gets an environment of its own."""

Line = dict[str, Any]


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on a disk, gone in the end."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as made:
        yield Path(made)


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
    """Lines of figures, medians of `repeat` runs, or of an `error`; the ratios come last."""
    pythons = dict.fromkeys(PLAIN, Path(sys.executable))
    for client in PEERS if peers else ():
        try:
            pythons[client] = environment(client)
        except subprocess.CalledProcessError as error:
            yield {"client": client, "error": last_words(error.stderr)}
    ratios = {}
    for places in concurrency:
        runs: dict[str, list[Line]] = {client: [] for client in pythons}
        for _ in range(repeat):
            for client, python in pythons.items():
                number = peer_requests or requests if client in PEERS else requests
                runs[client].append(run(python, client, url, places, number, latency_ms))
        lines = {client: middle(made) for client, made in runs.items()}
        for client, line in lines.items():
            yield {"client": client, "concurrency": places, **line}
        ratios[str(places)] = ratio(lines)
    yield {"client": "ratios", **ratios}


def environment(client: str) -> Path:
    """The interpreter of a peer's environment, which is made if it is not there yet.

    Raises CalledProcessError if pip fails.
    """
    home = CACHE / client
    python, installed = home / "bin" / "python", home / "installed"
    if not installed.exists():
        venv.create(home, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PEERS[client]], check=True, capture_output=True, text=True)
        installed.touch()
    return python


def command(
    python: Path, client: str, url: str, places: int, number: int, into: Path, warm_up: int = 8
) -> list[str]:
    """Starts one run of a client."""
    words = (python, SCRIPT, client, url, places, number, into, "--warm-up", warm_up)
    return [str(word) for word in words]


def run(python: Path, client: str, url: str, places: int, number: int, latency_ms: float) -> Line:
    """The figures of one run of one client."""
    with folder() as into:
        words = command(python, client, url, places, number, into)
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {LONGEST} s"}
    if done.returncode:
        return {"error": last_words(done.stderr)}
    made = json.loads(done.stdout.splitlines()[-1])
    rps = number / made["seconds"]
    return {
        "rps": rps,
        "cpu_ms_per_request": 1000 * made["cpu_s"] / number,
        "efficiency": rps * latency_ms / 1000 / places,
        "rss_mb": made["rss_mb"],
        "requests": number,
        "billed": control(url)["billed"],
        "version": made["version"],
    }


def middle(runs: Sequence[Line]) -> Line:
    """The medians of some runs; the first error, if there is one."""
    for line in runs:
        if "error" in line:
            return line
    return {
        name: median(line[name] for line in runs) if isinstance(value, int | float) else value
        for name, value in runs[0].items()
    }


def ratio(lines: Mapping[str, Line]) -> Line:
    """The engine beside the others, None where one of the two has no figures."""

    def over(name: str, other: str) -> float | None:
        ours, theirs = lines["engine"].get(name), lines[other].get(name)
        return ours / theirs if ours and theirs else None

    return {
        "rps_over_openai_default": over("rps", "openai-default"),
        "rps_over_raw_aiohttp": over("rps", "raw-aiohttp"),
        "cpu_over_openai_aiohttp": over("cpu_ms_per_request", "openai-aiohttp"),
        "efficiency": lines["engine"].get("efficiency"),
    }


def last_words(text: str) -> str:
    """The last line of a traceback or of pip's that says something."""
    said = [line.strip(" |") for line in text.splitlines() if re.search(r"[a-z]", line)]
    return said[-1][:300] if said else "no word of why"
