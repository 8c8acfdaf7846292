"""A withdrawn text goes with all that was made from it, and nothing that remains is paid again."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from persona_assets_tests.conftest import in_memory
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject

WITHDRAWN = "My name is Quillon Vastermark, an echo of fern, and I mend the bells of Orvendal."
TEXTS = {
    "a.jsonl": [WITHDRAWN, "The ferry to the islands leaves at noon when the tide allows it."],
    "b.jsonl": ["They sang an echo of fern.", f"  {WITHDRAWN.replace(' ', '  ')}"],
    "c.jsonl": ["A long letter about the price of barley in a wet year."],
}
"""The first personas of `a` and `b` mean the same: that of `b` is dropped, until that of `a` goes.
A copy with other white space is in `b`."""

SETTINGS = {
    "relations_per_persona": 1,
    "personas_per_hop": None,
    "tasks": {"math_problems": {"mode": "zero-shot"}, "dialogues": {"per_shard": None}},
    "prompting": {},
    "training_sizes": [2],
    "benchmark_limit": 1,
}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(environment: None) -> Iterator[SampleProject]:
    """Project whose tables are made."""
    with ModelServer() as server, in_memory() as root:
        yield prepared(Path(root) / "made", server)


def prepared(root: Path, server: ModelServer) -> SampleProject:
    project = SampleProject(root, server, tasks=("math_problems", "dialogues"))
    project.values |= SETTINGS
    project.values["writer"]["price"] = {"input": "2", "output": "10"}
    for shard, texts in TEXTS.items():
        project.write(shard, texts)
    run(project)
    return project


@pytest.fixture
def project(made: SampleProject, server: ModelServer, folder: Path) -> SampleProject:
    """Copy of the project, with a server that has received no request."""
    copied = made.copy(folder / "project", server)
    copied.values |= SETTINGS | {"writer": copied.values["writer"]}
    copied.values["writer"]["price"] = {"input": "2", "output": "10"}
    return copied


def run(project: SampleProject) -> None:
    assert [event.error for event in project.run() if event.error] == []


def text_id(project: SampleProject) -> str:
    rows = project.rows("raw_corpus", "a.jsonl")
    [found] = rows.filter(pl.col("text") == WITHDRAWN)["text_id"]
    return str(found)


def test_story(project: SampleProject, command: Command, made: SampleProject) -> None:
    print(Counter(made.server.calls))
    code, out, err = command(
        project,
        "publish",
        "persona_hub",
        "--to",
        str(project.root / "out"),
        "--model-terms",
        "writer=as agreed",
    )
    print(code, out, err)
    code, out, err = command(project, "withdraw", text_id(project))
    print(code, out, err)
    code, out, err = command(project, "withdraw", text_id(project), "--yes", "--reason", "asked")
    print(code, out[-300:], err)
    print([(w.partition, list(w.reasons.items())[:3]) for w in project.stale()])
    run(project)
    print(Counter(project.server.calls), Counter(project.server.asked_of))
    print(command(project, "withdraw", "--list"))
