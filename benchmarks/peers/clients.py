"""The clients that are compared, each to be run in a process of its own.

    python benchmarks/peers/clients.py CLIENT URL CONCURRENCY REQUESTS FOLDER [--warm-up 8]

sends REQUESTS chat completions from a process of its own, each of about 1 kB and with the row's
number in it, and prints one JSON object: seconds, cpu_s (children included), rss_mb (the peak) and
the client's version. A warm-up comes before the clock, so that whatever a client imports or
compiles when it is first used is not charged; connections are made anew, inside the clock. The
server begins to count after the warm-up. FOLDER, an empty one, takes what the client writes.

engine          complete() with a journal that is synced to disk, answers checked against a schema.
openai-default  AsyncOpenAI as it comes, bounded by a semaphore.
openai-aiohttp  the same over DefaultAioHttpClient, answers as plain JSON.
raw-aiohttp     aiohttp alone: what the HTTP of one Python process costs.
curator         bespokelabs-curator: LLM over a list of rows, its cache in FOLDER, its rate limits
                above what is offered, no telemetry and no viewer.
distilabel      a TextGeneration task over batches of as many rows as may be in flight: what a step
                of a pipeline does, without the pipeline's processes and queues. A batch begins when
                the one before is over.

Curator and distilabel take the answer as text, which is less than what the engine does with it.
Needs nothing but the standard library until a client is chosen.
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
"""Sends so many requests and returns once all are answered."""


def messages(row: int) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": "You write personas."},
        {"role": "user", "content": f"row {row}: {PASSAGE}"},
    ]


def requests(number: int) -> "Iterator[Request]":
    """Requests of the engine, made as they are read."""
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
    number: int, concurrency: int, one: Callable[[dict[str, Any]], Coroutine[Any, Any, Any]]
) -> None:
    """Calls `one` with so many bodies, at most `concurrency` at a time."""
    places = asyncio.Semaphore(concurrency)
    async with asyncio.TaskGroup() as group:
        for row in range(number):
            await places.acquire()
            body = {"model": MODEL, "messages": messages(row), **SAMPLING}
            task = group.create_task(one(body))
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

            async def one(body: dict[str, Any]) -> None:
                async with session.post(f"{url}/chat/completions", json=body) as response:
                    assert response.status == 200
                    await response.json()

            await send(number, concurrency, one)

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
    # Tells tiktoken where the encoding is that Curator would otherwise have it download.
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
            for made in task.process(
                [{"instruction": messages(row)[1]["content"]} for row in rows]
            ):
                assert all(row["generation"] for row in made)

    return run


CLIENTS = {
    "engine": (engine, "persona_assets"),
    "openai-default": (openai_default, "openai"),
    "openai-aiohttp": (openai_aiohttp, "openai"),
    "raw-aiohttp": (raw_aiohttp, "aiohttp"),
    "curator": (curator, "bespokelabs-curator"),
    "distilabel": (distilabel, "distilabel"),
}
"""Clients and the distributions that they are of."""


def control(url: str, settings: dict[str, float] | None = None) -> dict[str, Any]:
    """The counts of the server at `url`, which begins to count anew if there are `settings`."""
    data = None if settings is None else json.dumps(settings).encode()
    with urlopen(url.removesuffix("/v1") + "/control", data) as response:
        return dict(json.load(response))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
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
    told = {"seconds": seconds, "cpu_s": cpu_s, "rss_mb": rss}
    # On a line of its own, whatever else a client may print.
    print("\n" + json.dumps({**told, "version": version(distribution)}))


if __name__ == "__main__":
    main()
