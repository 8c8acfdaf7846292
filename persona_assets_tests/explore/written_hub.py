"""Tables of a hub as rows of the test, without a run, and the pages on it over HTTP."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import uvicorn

from persona_assets.explore.pages import Pages
from persona_assets.explore.server import build_app, listen
from persona_assets.project import Project
from persona_assets.settings import Settings
from persona_assets.steps.clusters import CLUSTERS
from persona_assets.steps.corpus import SCHEMA as CORPUS
from persona_assets.steps.hub import DUPLICATES, EMBEDDINGS, HUB
from persona_assets.steps.landmarks import LANDMARKS
from persona_assets.steps.persona_map import FIT_PERSONAS, MAP
from persona_assets.steps.personas import CANDIDATES, TEXT_PERSONAS
from persona_assets.storage.footer import Footer, Upstream, data_version
from persona_assets.storage.step_result import StepResult, quarantine
from persona_assets.storage.storage import Storage

Rows = Sequence[Mapping[str, Any]]


def embed(query: str) -> np.ndarray:
    """Return a unit vector of two dimensions by the number of letters of a query."""
    angle = len(query) / 10
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def project_of(storage: Storage) -> Project:
    """Return the project of a data folder, with the settings of the demo."""
    return Project(Settings.load(profile="demo", data_dir=storage.data_dir))


def write_hub(storage: Storage, shards: Mapping[str, Rows]) -> None:
    """Write personas by shard.

    A row has a `persona_id` and a `persona`, and may have further columns of candidates, `dropped`
    (a reason), `vector`, `place` (x, y) and `survivor`.
    """
    every = [row for rows in shards.values() for row in rows]
    for arrival, (shard, rows) in enumerate(shards.items(), start=1):
        given = [{"hop": 0, "kept": True, "parent_id": "text", **row} for row in rows]
        kept = [row for row in given if not row.get("dropped")]
        gone = [(row["persona_id"], row["dropped"]) for row in given if row.get("dropped")]
        text = {"text_id": "text", "text": f"Text of {shard}"}
        write(storage, "raw_corpus", shard, [text], CORPUS, arrival=arrival)
        write(storage, "text_personas", shard, given, TEXT_PERSONAS)
        write(storage, "persona_candidates", shard, given, CANDIDATES)
        candidates = Upstream(asset="persona_candidates", shard=shard, data_version="1")
        write(storage, "lexical_survivors", shard, kept, HUB, gone, upstream=(candidates,))
        write(storage, "persona_hub", shard, kept, HUB)
        vectors = [{"confusion": 0.0, **row} for row in given if "vector" in row]
        write(storage, "persona_embeddings", shard, vectors, EMBEDDINGS)
        if any("place" in row for row in every):
            placed = [
                {**row, "x": row["place"][0], "y": row["place"][1], "cluster": 0, "cosine": 1.0}
                for row in kept
                if "place" in row
            ]
            write(storage, "persona_map", shard, placed, MAP)
    repeated = [
        {**row, "survivor_id": row["survivor"], "similarity": 0.95, "stage": "lexical"}
        for row in every
        if "survivor" in row
    ]
    write(storage, "lexical_duplicates", None, repeated, DUPLICATES)
    places = [row["place"] for row in every if "place" in row]
    if places:
        middle = {"x": places[0][0], "y": places[0][1], "words": ["birds", "<b>bells</b>"]}
        cluster = {"cluster": 0, "label": "0: birds", "size": len(places), **middle}
        write(storage, "persona_clusters", None, [cluster], CLUSTERS)
        write(storage, "map_landmarks", None, [], LANDMARKS, decisions={FIT_PERSONAS: 1.0})


def write(
    storage: Storage,
    asset: str,
    shard: str | None,
    rows: Rows,
    schema: pl.Schema,
    dropped: Sequence[tuple[str, str]] = (),
    **footer: Any,
) -> None:
    """Write a table; columns that a row lacks are null."""
    table = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
    result = StepResult(table, quarantine(asset, dropped))
    version = data_version(table)
    storage.write(
        result,
        Footer(
            asset=asset,
            shard=shard,
            run_id="run",
            code_version="1",
            data_version=version,
            rows=len(table),
            dropped=result.reasons(),
            **footer,
        ),
    )


@dataclass(frozen=True)
class Answer:
    """Response of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Served:
    """Pages on a project over HTTP."""

    def __init__(self, pages: Pages, port: int) -> None:
        self.pages = pages
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Send a request; a header `Host` replaces the true one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, names, response.read())
        connection.close()
        return answer


@contextmanager
def served(
    project: Project, embedding: Callable[[str], np.ndarray] = embed, host: str = "127.0.0.1"
) -> Iterator[Served]:
    """Serve the pages on a project from a thread."""
    pages = Pages(project, embedding)
    listener: socket.socket = listen("127.0.0.1", 0)
    config = uvicorn.Config(build_app(pages, host), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield Served(pages, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
