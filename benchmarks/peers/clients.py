"""Clients of a chat endpoint, each run in a process of its own.

    python benchmarks/peers/clients.py CLIENT URL CONCURRENCY REQUESTS FOLDER [--warm-up 8]

Sends REQUESTS chat completions, each of about 1 kB and with the number of its row, and prints a
JSON object: seconds, cpu_s (with child processes), rss_mb (peak memory in MB) and version. FOLDER
is an empty folder for files of the client. Before the clock starts, a warm-up imports and compiles
everything that the client needs. Connections are opened within the clock. The server counts from
the end of the warm-up.

engine          complete() with a journal that is synced to disk, answers checked against a schema.
openai-default  AsyncOpenAI with its defaults, bounded by a semaphore.
openai-aiohttp  The same over DefaultAioHttpClient, answers as plain JSON.
raw-aiohttp     aiohttp alone: the cost of HTTP in a Python process.
curator         bespokelabs-curator: LLM over a list of rows, cache in FOLDER, rate limits above the
                load, no telemetry and no viewer.
distilabel      TextGeneration task over batches of CONCURRENCY rows: the work of a pipeline's step,
                without the pipeline's processes and queues. A batch begins when the batch before
                has ended.

Curator and distilabel return the answer as text, which is less work than that of the engine.
Importing this module needs only the standard library. Each client imports its own packages.
"""

import argparse
import asyncio
import json
import os
import resource
import time
from collections.abc import Callable, Coroutine, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

if TYPE_CHECKING:
    from persona_assets.generation import Endpoint, Request

MODEL = "gpt-4o-mini"
SAMPLING = {"temperature": 0.7, "max_tokens": 300}
PASSAGE = "Some text about trees and rivers. " * 20

Run = Callable[[int], object]
"""Function that sends n requests and returns when all are answered."""


def messages(row: int) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": "You write personas."},
        {"role": "user", "content": f"row {row}: {PASSAGE}"},
    ]


def requests(number: int) -> "Iterator[Request]":
    """Generate requests for the engine."""
    from pydantic import BaseModel

    from persona_assets.generation import Request

    class Persona(BaseModel):
        persona: str

    for row in range(number):
        yield Request("assistant", tuple(messages(row)), SAMPLING, Persona, "json")


def endpoint(url: str, concurrency: int, **settings: float) -> "Endpoint":
    from persona_assets.generation import Endpoint

    places = {"concurrency": concurrency, **settings}
    return Endpoint.model_validate({"model": MODEL, "base_url": url, "api_key_env": None, **places})


def engine(url: str, concurrency: int, folder: Path) -> Run:
    from persona_assets.generation import Engine, Journal, complete

    def run(number: int) -> None:
        with Journal(folder / f"{number}.jsonl") as journal:
            engine = Engine(endpoint(url, concurrency), journal)
            for answer in complete(requests(number), engine):
                assert answer.status == "ok", answer.reason

    return run


async def send(
    number: int, concurrency: int, post: Callable[[dict[str, Any]], Coroutine[Any, Any, Any]]
) -> None:
    """Post `number` bodies, at most `concurrency` at a time."""
    places = asyncio.Semaphore(concurrency)
    async with asyncio.TaskGroup() as group:
        for row in range(number):
            await places.acquire()
            body = {"model": MODEL, "messages": messages(row), **SAMPLING}
            task = group.create_task(post(body))
            task.add_done_callback(lambda _: places.release())


def openai_default(url: str, concurrency: int, folder: Path) -> Run:
    from openai import AsyncOpenAI

    async def run(number: int) -> None:
        async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:
            await send(number, concurrency, lambda body: client.chat.completions.create(**body))

    return lambda number: asyncio.run(run(number))


def openai_aiohttp(url: str, concurrency: int, folder: Path) -> Run:
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)

    async def run(number: int) -> None:
        http = DefaultAioHttpClient(limits=limits, timeout=120)
        async with AsyncOpenAI(
            api_key="none", base_url=url, max_retries=0, http_client=http
        ) as client:
            path = "/chat/completions"
            await send(
                number, concurrency, lambda body: client.post(path, cast_to=object, body=body)
            )

    return lambda number: asyncio.run(run(number))


def raw_aiohttp(url: str, concurrency: int, folder: Path) -> Run:
    import aiohttp

    async def run(number: int) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def post(body: dict[str, Any]) -> None:
                async with session.post(f"{url}/chat/completions", json=body) as response:
                    assert response.status == 200
                    await response.json()

            await send(number, concurrency, post)

    return lambda number: asyncio.run(run(number))


def curator(url: str, concurrency: int, folder: Path) -> Run:
    os.environ |= {
        "CURATOR_CACHE_DIR": str(folder),
        "HF_DATASETS_CACHE": str(folder),
        "HOME": str(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "OPENAI_API_KEY": "none",
        "TELEMETRY_ENABLED": "false",
    }
    # Points tiktoken at the encoding that comes with litellm; Curator would have it downloaded.
    import_module("litellm.litellm_core_utils.default_encoding")
    from bespokelabs.curator import LLM  # type: ignore[import-not-found]

    class Writer(LLM):  # type: ignore[misc]
        def prompt(self, row: dict[str, int]) -> list[dict[str, str]]:
            return messages(row["row"])

        def parse(self, row: dict[str, int], answer: str) -> dict[str, Any]:
            return {"row": row["row"], "persona": answer}

    limits = {
        "max_concurrent_requests": concurrency,
        "max_requests_per_minute": 10**9,
        "max_tokens_per_minute": 10**12,
    }
    writer = Writer(
        model_name=MODEL,
        backend="openai",
        generation_params=SAMPLING,
        backend_params={"base_url": url, **limits},
    )
    return lambda number: len(writer([{"row": row} for row in range(number)]).dataset)


def distilabel(url: str, concurrency: int, folder: Path) -> Run:
    from distilabel.models import OpenAILLM  # type: ignore[import-not-found]
    from distilabel.steps.tasks import TextGeneration  # type: ignore[import-not-found]

    def run(number: int) -> None:
        llm = OpenAILLM(model=MODEL, base_url=url, api_key="none", max_retries=0)
        llm.generation_kwargs = {"temperature": 0.7, "max_new_tokens": 300}
        task = TextGeneration(llm=llm, input_batch_size=concurrency)
        task.load()
        for first in range(0, number, concurrency):
            rows = range(first, min(first + concurrency, number))
            for answers in task.process(
                [{"instruction": messages(row)[1]["content"]} for row in rows]
            ):
                assert all(answer["generation"] for answer in answers)

    return run


CLIENTS = {
    "engine": (engine, "persona_assets"),
    "openai-default": (openai_default, "openai"),
    "openai-aiohttp": (openai_aiohttp, "openai"),
    "raw-aiohttp": (raw_aiohttp, "aiohttp"),
    "curator": (curator, "bespokelabs-curator"),
    "distilabel": (distilabel, "distilabel"),
}
"""Factory of each client, and its distribution."""


def control(url: str, settings: dict[str, float] | None = None) -> dict[str, Any]:
    """Return the counts of the server at `url`, reset before if `settings` are given."""
    data = None if settings is None else json.dumps(settings).encode()
    with urlopen(url.removesuffix("/v1") + "/control", data) as response:
        return dict(json.load(response))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("url")
    parser.add_argument("concurrency", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--warm-up", type=int, default=8)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    prepare, distribution = CLIENTS[options.client]
    run = prepare(options.url, options.concurrency, options.folder)
    if options.warm_up:
        run(options.warm_up)
        control(options.url, {})
    began, cpu = time.perf_counter(), sum(os.times()[:4])
    run(options.requests)
    seconds, cpu_s = time.perf_counter() - began, sum(os.times()[:4]) - cpu
    users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    rss = max(resource.getrusage(user).ru_maxrss for user in users) / 1024
    figures = {"seconds": seconds, "cpu_s": cpu_s, "rss_mb": rss}
    # A client may have printed part of a line.
    print("\n" + json.dumps({**figures, "version": version(distribution)}))


if __name__ == "__main__":
    main()
