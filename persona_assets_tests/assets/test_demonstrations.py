"""A task takes its demonstrations from a user's conversations, with personas that are inferred."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persona_assets.prompting.front_matter import PromptError
from persona_assets.settings import SettingsError
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject

SHARD = "forum/birds.jsonl"
TABLE = "demonstration_personas"
ASKED = [
    "My boiler knocks twice at six every morning. What is it, and is it safe to sleep here?",
    "My oven burns the bottom of every loaf. Should I move the stone or lower the heat?",
    "Three of my hens stopped laying when the days got short. Do I need a lamp in the coop?",
]
SELECT = "+key:instructions"


class Recorder(ModelServer):
    """Model server that keeps the messages of the requests for instructions."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[list[dict[str, str]]] = []

    def reply(self, message: str, body: dict[str, Any]) -> str:
        if "types to an AI assistant" in str(body.get("messages", "")):
            self.requests.append(body["messages"])
        return super().reply(message, body)


@pytest.fixture
def sample(finished: SampleProject, folder: Path) -> Iterator[SampleProject]:
    """Copy of the finished project, whose instructions are without demonstrations."""
    with Recorder() as server:
        yield finished.copy(folder / "project", server)


def bring(sample: SampleProject, *asked: str, **members: Any) -> Path:
    """Write conversations in the shape of WildChat, for two shots in the persona mode."""
    path = sample.root / "wild.jsonl"
    lines = [{"conversation": [{"role": "user", "content": text}]} for text in asked]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    task = {"mode": "persona-few-shot", "shots": 2, "demonstrations": str(path)}
    sample.values["tasks"] = {"instructions": {**task, **members}}
    return path


def test_persona_enhanced_two_shot_prompts_show_inferred_writers(sample: SampleProject) -> None:
    bring(sample, *ASKED)
    assert [run.error for run in sample.run(SELECT) if run.error] == []
    inferred = sample.rows(TABLE)
    assert len(inferred) == 3
    server = sample.server
    assert isinstance(server, Recorder)
    assert len(sample.rows("instructions", SHARD)) > 0
    for messages in server.requests:
        shown, replies = messages[1:-1:2], messages[2:-1:2]
        assert {reply["content"] for reply in replies} < set(ASKED)
        assert len(replies) == 2
        assert all(
            any(persona in turn["content"] for persona in inferred["persona"]) for turn in shown
        )
    # Two shards, two prefixes; all rows of a shard have the same.
    assert len({json.dumps(messages[:-1]) for messages in server.requests}) <= len(TEXTS)


def test_second_run_and_a_new_shard_ask_for_no_writer_again(sample: SampleProject) -> None:
    bring(sample, *ASKED)
    sample.run(SELECT)
    version = sample.versions()[TABLE, None]
    calls = sum(sample.server.calls.values())
    sample.run(SELECT)
    assert sum(sample.server.calls.values()) == calls
    sample.write("new.jsonl", ["The kiln is cold, and the potter waits for wood."])
    made = {(footer, shard): v for (footer, shard), v in sample.versions().items()}
    sample.run(SELECT)
    after = sample.versions()
    assert after[TABLE, None] == version
    assert after["instructions", SHARD] == made["instructions", SHARD]
    assert len(sample.journal(TABLE)) == 3


def test_content_of_the_file_counts_and_its_place_does_not(sample: SampleProject) -> None:
    path = bring(sample, *ASKED)
    sample.run(SELECT)
    calls = sum(sample.server.calls.values())
    moved = path.rename(sample.root / "moved.jsonl")
    sample.values["tasks"]["instructions"]["demonstrations"] = str(moved)
    sample.run(SELECT)
    assert sum(sample.server.calls.values()) == calls
    bring(
        sample,
        *ASKED[:2],
        "My cat only drinks from the bathroom tap. How do I get her to use a bowl?",
    )
    sample.run(SELECT)
    assert len(sample.rows(TABLE)) == 3
    # The writers of the texts that stay are paid for.
    assert sum(sample.server.calls.values()) > calls
    assert len(sample.journal(TABLE)) == 4


def test_few_shot_mode_needs_no_writer(sample: SampleProject) -> None:
    bring(sample, *ASKED, mode="few-shot")
    assert TABLE not in sample.assets
    messages = sample.project.prompt("instructions").request({"persona": "A tailor."}).messages
    assert {message["content"] for message in messages[2:-1:2]} < set(ASKED)
    assert not any("Person:" in message["content"] for message in messages[1:-1])


def test_personas_are_in_the_graph_only_where_a_task_needs_them(sample: SampleProject) -> None:
    assert TABLE not in sample.assets
    bring(sample, *ASKED)
    assert {*sample.assets["instructions"].inputs} == {TABLE, "persona_hub"}


def test_too_few_that_are_fit_and_a_missing_file_are_errors(sample: SampleProject) -> None:
    bring(sample, ASKED[0], ASKED[0], "Hi")
    with pytest.raises(
        PromptError,
        match=r"2 demonstrations asked for and 1 in .*wild.jsonl \(unfit: 1 repeat, "
        r"1 no_valid_answer\)",
    ):
        sample.project.prompt("instructions")
    sample.values["tasks"]["instructions"]["demonstrations"] = "nowhere.jsonl"
    with pytest.raises(SettingsError, match="TASKS__instructions__DEMONSTRATIONS: no file at"):
        sample.project.prompt("instructions")


def test_request_without_inferred_personas_is_refused(sample: SampleProject) -> None:
    bring(sample, *ASKED)
    with pytest.raises(PromptError, match="has no persona: add it, or materialize"):
        sample.project.prompt("instructions").request({"persona": "A tailor."})
