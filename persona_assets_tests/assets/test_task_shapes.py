"""A file alone makes a task of samples, of pairs, of conversations, or a variant of a task."""

import signal
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from persona_assets.prompting.front_matter import PromptError
from persona_assets.settings import SettingsError
from persona_assets.steps.origins import origin_of
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject

SHARD = "forum/birds.jsonl"
REPLIES = """---
description: An assistant's reply to an instruction.
from: instructions
keep: [instruction]
kind: article
role: solver
format: text
output:
  reply: {type: string, min_length: 5, max_length: 3000}
---

# System

You are an assistant.

# User

{{ instruction }}
"""
INTERVIEWS = """---
description: Two people of one family or workplace talk.
personas: 2
related: hop
turns: 4
format: text
output:
  message: {type: string, min_length: 5, max_length: 3000}
---

# System

You are {{ persona }} You talk to {{ other }} ({{ relation }}).

# User

{% for message in messages %}{{ message.speaker }}: {{ message.content }}
{% endfor %}Say the next thing.
"""
CHATS = """---
description: A persona asks an assistant for help.
turns: 4
answers: solver
kind: instruction
format: text
output:
  message: {type: string, min_length: 5, max_length: 3000}
---

# System

You are {{ persona }}

# User

{% for message in messages %}{{ message.speaker }}: {{ message.content }}
{% endfor %}Write what you say next.

# Assistant

You help.
"""
FILES = {"replies": REPLIES, "interviews": INTERVIEWS, "chats": CHATS}
COMPLAINTS = """---
description: What a persona complains about.
format: text
output:
  complaint: {type: string}
variables: {relation: ""}
---

# System

{{ relation }}

# User

{{ persona }} {{ parent }}
"""
SELECT = "+key:unique_replies or +key:unique_interviews or +key:unique_chats"


@pytest.fixture(scope="module")
def made(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """Project with a task of each shape, made once; tests only read it."""
    with ModelServer() as server:
        sample = project(tmp_path_factory.mktemp("shapes") / "project", server)
        assert [run.error for run in sample.run(SELECT) if run.error] == []
        yield sample


@pytest.fixture
def sample(made: SampleProject, tmp_path: Path) -> Iterator[SampleProject]:
    """Copy of the project, with a server that counts anew."""
    with ModelServer() as server:
        yield copied(made, tmp_path / "project", server)


def copied(made: SampleProject, root: Path, server: ModelServer) -> SampleProject:
    copy = made.copy(root, server)
    copy.values |= {"training_sizes": [], "tasks": made.values["tasks"].copy()}
    return copy


def project(root: Path, server: ModelServer) -> SampleProject:
    sample = SampleProject(root, server)
    sample.write(SHARD, [*TEXTS[SHARD][:2], "The ferry leaves at nine."])
    for name, text in FILES.items():
        (sample.prompts / "tasks" / f"{name}.md").write_text(text)
    sample.values |= {"training_sizes": [], "tasks": {"chats": {"per_shard": 2}}}
    return sample


def test_row_of_a_sample_carries_its_source(made: SampleProject) -> None:
    replies, sources = made.rows("replies", SHARD), made.rows("unique_instructions", SHARD)
    assert replies.columns[:5] == ["sample_id", "source_id", "persona_id", "persona", "instruction"]
    joined = replies.join(sources, left_on="source_id", right_on="sample_id")
    assert len(joined) == len(replies) == len(sources)
    assert joined["instruction"].equals(joined["instruction_right"])
    assert joined["licence"].equals(joined["licence_right"])


def test_trace_leads_from_a_reply_to_the_text(made: SampleProject) -> None:
    [reply, *_] = made.rows("replies", SHARD)["sample_id"]
    chain = made.catalog.query("SELECT asset FROM trace(?) ORDER BY step", [reply])["asset"]
    assert chain.to_list()[:2] == ["replies", "instructions"]
    assert chain.to_list()[-2:] == ["text_personas", "raw_corpus"]


def test_message_request_holds_the_messages_before_it(made: SampleProject) -> None:
    [row, *_] = made.rows("chats", SHARD).to_dicts()
    assert [message["speaker"] for message in row["messages"]] == ["user", "assistant"] * 2
    assert row["opening"] == row["messages"][0]["content"]
    asked = [
        body["messages"]
        for body in made.server.bodies
        if body.get("messages", [{"content": None}])[-1]["content"] == row["messages"][2]["content"]
    ]
    [last] = asked
    assert [(turn["role"], turn["content"]) for turn in last[1:]] == [
        (message["speaker"], message["content"]) for message in row["messages"][:3]
    ]
    assert last[0] == {"role": "system", "content": "You help."}
    assert {message["model"] for message in row["messages"]} == {"writer", "solver"}


def test_dialogue_is_of_two_personas_in_turn(made: SampleProject) -> None:
    rows = made.rows("interviews", SHARD)
    assert len(rows)
    hub = dict(made.rows("persona_hub", SHARD).select("persona_id", "parent_id").iter_rows())
    for row in rows.iter_rows(named=True):
        assert hub[row["other_id"]] == row["persona_id"]
        assert [m["speaker"] for m in row["messages"]] == ["persona", "other"] * 2


def test_trace_leads_from_a_dialogue_to_both_personas(made: SampleProject) -> None:
    row = made.rows("interviews", SHARD).row(0, named=True)
    chain = made.catalog.query("SELECT step, asset, row_id FROM trace(?)", [row["sample_id"]])
    assert chain["row_id"].n_unique() == len(chain)
    assert {row["persona_id"], row["other_id"]} <= set(chain["row_id"])
    assert chain["asset"].to_list()[0] == "interviews"
    for persona in (row["persona_id"], row["other_id"]):
        made_from = made.catalog.query("SELECT row_id FROM affected_by(?)", [persona])
        assert row["sample_id"] in set(made_from["row_id"])


def test_interrupted_conversation_goes_on_where_it_stopped(sample: SampleProject) -> None:
    path = sample.storage.path("chats", SHARD)
    before = pl.read_parquet(path)
    path.unlink()
    sample.storage.completions("chats", SHARD).unlink()
    sample.server.meets = lambda prompt, message: "500" if "assistant: " in message else None
    [error] = [run.error for run in sample.run("key:chats")]
    assert "2 of 2 calls ended in an error" in error
    paid = sample.server.calls.total()
    sample.server.meets = lambda prompt, message: None
    assert [run.error for run in sample.run("key:chats") if run.error] == []
    assert pl.read_parquet(path).equals(before)
    assert sample.server.calls.total() == 4 * len(before)
    assert paid == 2 * len(before)


def test_killed_conversation_repeats_no_stored_turn(made: SampleProject, tmp_path: Path) -> None:
    with ModelServer(latency=0.1) as server:
        copy = copied(made, tmp_path / "project", server)
        copy.values["tasks"] |= {"chats": {"per_shard": 4}}
        copy.storage.path("chats", SHARD).unlink()
        copy.storage.completions("chats", SHARD).unlink()
        with copy.command("run", "--select", "key:chats") as process:
            server.wait_for(6)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        stored = {record.key for record in copy.journal("chats", SHARD)}
        calls_before = len(server.keys)
        assert [run.error for run in copy.run("key:chats") if run.error] == []
        assert stored
        assert stored.isdisjoint(key for _, key in server.keys[calls_before:])
    rows = copy.rows("chats", SHARD)
    assert len(rows) + len(copy.storage.quarantine("chats", SHARD)) == 4
    assert {len(messages) for messages in rows["messages"]} == {4}


def test_variant_is_an_asset_beside_its_task(sample: SampleProject) -> None:
    sample.values["tasks"] |= {
        "game_npcs": {"per_shard": 2},
        "game_npcs@harbour": {"variables": {"world": "harbour"}},
    }
    assert [run.error for run in sample.run("+key:unique_game_npcs") if run.error] == []
    versions = sample.versions()
    keys = "+key:unique_game_npcs@harbour"
    assert [run.error for run in sample.run(keys) if run.error] == []
    base, variant = sample.rows("game_npcs", SHARD), sample.rows("game_npcs@harbour", SHARD)
    assert base["persona_id"].to_list() == variant["persona_id"].to_list()
    assert not set(base["sample_id"]) & set(variant["sample_id"])
    assert sample.versions()["game_npcs", SHARD] == versions["game_npcs", SHARD]
    assert len(sample.rows("unique_game_npcs@harbour", SHARD))
    counted = sample.catalog.query('SELECT count(*) AS n FROM "game_npcs@harbour"')
    assert counted["n"].item() == len(variant)


def test_variant_of_a_file_takes_its_settings(sample: SampleProject) -> None:
    sample.edit(
        "tasks/game_npcs",
        "variants:",
        "settings: {share: 0.5}\nvariants:\n  sea: {variables: {world: harbour}}",
    )
    sample.values["tasks"] |= {"game_npcs@sea": {}}
    names = {asset.name for asset in sample.assets.values()}
    assert {"game_npcs", "game_npcs@sea", "unique_game_npcs@sea"} <= names
    task = sample.project.settings.task("game_npcs@sea")
    assert (task.share, task.variables) == (0.5, {"world": "harbour"})
    assert sample.project.prompt("game_npcs@sea").prompting.variables == {"world": "harbour"}


def test_variable_of_a_file_wins_over_an_input_of_its_name(sample: SampleProject) -> None:
    (sample.prompts / "tasks" / "complaints.md").write_text(COMPLAINTS)
    prompt = sample.project.prompt("complaints")
    assert origin_of(prompt, None).inputs == ("persona", "parent")


def test_stratified_draw_is_for_tasks_of_personas(sample: SampleProject) -> None:
    sample.values["tasks"] |= {"replies": {"stratify": "hop"}}
    with pytest.raises(SettingsError, match="task replies: stratify is for tasks whose rows"):
        _ = sample.defs


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("from: instructions", "from: instruction", "did you mean instructions"),
        ("keep: [instruction]", "keep: [instructions]", "did you mean instruction"),
        ("from: instructions\n", "", "replies.md line 3: keep copies fields"),
        ("kind: article", "kind: article\npersonas: 2", "line 6: personas: 2 and related"),
        ("kind: article", "turns: 4", r"line 5: turns need answers"),
        (
            "{{ instruction }}",
            "{{ instructions }}",
            r"tasks/replies.md: .* \(did you mean instruction\?",
        ),
        (
            "{{ instruction }}",
            "{{ messages }}",
            "uses messages; its inputs and variables are: instr",
        ),
        (
            "kind: article",
            "kind: article\ndistribution: reply",
            "line 6: distribution names 'reply'",
        ),
        ("kind: article", "kinds: article", "line 5: kinds: unknown key"),
        ("keep: [instruction]", "keep: [instruction", r"replies\.md line \d"),
    ],
)
def test_wrong_front_matter_names_file_and_line(
    sample: SampleProject, old: str, new: str, message: str
) -> None:
    sample.edit("tasks/replies", old, new)
    with pytest.raises(PromptError, match=message):
        _ = sample.defs
