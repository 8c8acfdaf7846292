"""A published folder loads with the usual libraries and accounts for each of its rows."""

import argparse
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from persona_assets.project import Project
from persona_assets.publishing.card import MANIFEST, MOST_REASONS, CardFacts, render_card
from persona_assets.publishing.folder import publish as publish_folder
from persona_assets.publishing.licences import dataset_licence
from persona_assets.publishing.provenance import Provenance
from persona_assets.publishing.rows import TRAIN, PublishError, read_rows, select_licences
from persona_assets.terminal import publish as command
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.publishing.hub_server import HubServer
from persona_assets_tests.sample_project import SampleProject

TASKS = ("tools", "instructions", "replies", "conversations", "dialogues", "math_problems")


@pytest.fixture(scope="module")
def made(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """Project with tasks of each shape, from texts under two licences."""
    with ModelServer() as server:
        sample = SampleProject(tmp_path_factory.mktemp("publish") / "project", server, TASKS)
        sample.write("a.jsonl", ["The swifts came back to the mill.", "The bell cracked."])
        path = sample.write("b.jsonl", ["The ferry leaves at nine."])
        path.write_text(path.read_text().replace("CC0-1.0", "CC-BY-NC-4.0"))
        sample.values |= {
            "training_sizes": [],
            "relations_per_persona": 1,
            "tasks": {name: {"per_shard": 4} for name in TASKS},
        }
        last = (f"unique_{name}" for name in TASKS)
        keys = " or ".join(f"+key:{name}" for name in (*last, "math_train", "math_test"))
        assert [run.error for run in sample.run(keys) if run.error] == []
        yield sample


def publish(made: SampleProject, *arguments: str) -> None:
    """Run the command in this process."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(made.project, made.catalog, parser.parse_args(arguments)) == 0


def conditions(*models: str) -> list[str]:
    """Return the arguments that state the terms of models."""
    return [part for model in models for part in ("--model-terms", f"{model}=any use")]


def read(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path)


def front_matter(folder: Path) -> dict[str, Any]:
    _, head, _ = (folder / "README.md").read_text().split("---\n", 2)
    loaded: dict[str, Any] = yaml.safe_load(head)
    return loaded


@pytest.fixture(scope="module")
def replies(made: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "replies"
    formats = [
        part for name in ("openai", "alpaca", "llama-factory") for part in ("--format", name)
    ]
    publish(made, "replies", "--to", str(folder), *conditions("writer", "solver"), *formats)
    return folder


def test_each_row_of_the_last_table_is_published_with_its_lineage(
    made: SampleProject, replies: Path
) -> None:
    rows = read(replies / "rows" / "train-00000-of-00001.parquet")
    ids = [
        i
        for shard in ("a.jsonl", "b.jsonl")
        for i in made.rows("unique_replies", shard)["sample_id"]
    ]
    assert sorted(rows["sample_id"]) == sorted(ids)
    assert {"source_id", "persona_id", "completion_id", "model", "licence", "language"} <= set(
        rows.columns
    )


def test_messages_are_the_question_and_the_answer(made: SampleProject, replies: Path) -> None:
    rows = read(replies / "rows" / "train-00000-of-00001.parquet")
    said = read(replies / "messages" / "train-00000-of-00001.parquet")
    answers = {row["sample_id"]: row for row in rows.iter_rows(named=True)}
    for row in said.iter_rows(named=True):
        whole = answers[row["sample_id"]]
        assert row["messages"] == [
            {"role": "user", "content": whole["instruction"]},
            {"role": "assistant", "content": whole["reply"]},
        ]
        assert row["licence"] == whole["licence"]


def test_configs_load_offline_and_pass_the_check_of_trl(
    replies: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    data_utils = pytest.importorskip("trl.data_utils")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    names = [config["config_name"] for config in front_matter(replies)["configs"]]
    assert names == ["messages", "prompt_completion", "rows"]
    for name in names:
        loaded = datasets.load_dataset(str(replies), name, cache_dir=str(tmp_path / "cache"))
        assert len(loaded["train"]) > 0
        assert data_utils.is_conversational(loaded["train"][0]) == (name != "rows")
    by_default = datasets.load_dataset(str(replies), cache_dir=str(tmp_path / "cache"))
    assert "messages" in by_default["train"].column_names


def test_lines_of_other_libraries_hold_the_same_conversations(replies: Path) -> None:
    first: dict[str, Any] = {}
    for name in ("openai", "alpaca", "sharegpt"):
        line, *_ = (replies / name / "train.jsonl").read_text().splitlines()
        first[name] = json.loads(line)
    user, assistant = (message["content"] for message in first["openai"]["messages"])
    assert (first["alpaca"]["instruction"], first["alpaca"]["output"]) == (user, assistant)
    assert [turn["value"] for turn in first["sharegpt"]["conversations"]] == [user, assistant]
    described = json.loads((replies / "dataset_info.json").read_text())
    assert all((replies / entry["file_name"]).exists() for entry in described.values())


def test_manifest_names_every_file(replies: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", MANIFEST], cwd=replies, capture_output=True, check=True
    )
    files = {path for path in replies.rglob("*") if path.is_file()} - {replies / MANIFEST}
    assert len(done.stdout.splitlines()) == len(files)


def test_card_accounts_for_rows_models_prompts_and_licence(
    made: SampleProject, replies: Path
) -> None:
    head, text = front_matter(replies), (replies / "README.md").read_text()
    assert head["license"] == "cc-by-nc-4.0"
    assert "synthetic" in head["tags"]
    assert head["language"] == ["en"]
    for model in ("`writer`", "`solver`"):
        [line] = [line for line in text.splitlines() if line.startswith(f"| {model}")]
        assert line.endswith("| any use |")
    rows = sum(len(made.rows("unique_replies", shard)) for shard in ("a.jsonl", "b.jsonl"))
    assert f"| `unique_replies` | {rows} |" in text
    assert made.project.prompts.tasks["replies"].system.strip().splitlines()[0] in text
    assert "2406.20094" in text
    assert "not compared with any benchmark" in text


def test_only_licence_keeps_the_rows_of_that_licence(made: SampleProject, tmp_path: Path) -> None:
    folder = tmp_path / "free"
    options = ("--only-licence", "cc0-1.0", *conditions("writer"))
    publish(made, "instructions", "--to", str(folder), *options)
    rows = read(folder / "rows" / "train-00000-of-00001.parquet")
    assert set(rows["licence"]) == {"CC0-1.0"}
    assert front_matter(folder)["license"] == "cc0-1.0"


def test_conversations_end_with_an_answer_and_math_sets_have_their_splits(
    made: SampleProject, tmp_path: Path
) -> None:
    for name, models in {"conversations": ["writer", "solver"], "dialogues": ["writer"]}.items():
        publish(made, name, "--to", str(tmp_path / name), *conditions(*models))
        [said, *_] = read(tmp_path / name / "messages" / "train-00000-of-00001.parquet")["messages"]
        roles = [message["role"] for message in said]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
    stated = conditions("writer", "solver", "second_solver")
    publish(made, "math_train", "--to", str(tmp_path / "math"), *stated)
    configs = {
        config["config_name"]: [file["split"] for file in config["data_files"]]
        for config in front_matter(tmp_path / "math")["configs"]
    }
    assert configs["messages"] == ["train"]
    assert configs["rows"] == ["train"]
    assert "contains a problem of sample" in (tmp_path / "math" / "README.md").read_text()


def test_hub_is_published_without_conversations(made: SampleProject, tmp_path: Path) -> None:
    publish(made, "persona_hub", "--to", str(tmp_path / "hub"), *conditions("writer"))
    rows = read(tmp_path / "hub" / "rows" / "train-00000-of-00001.parquet")
    assert {"persona_id", "persona", "hop", "licence"} <= set(rows.columns)
    assert [config["config_name"] for config in front_matter(tmp_path / "hub")["configs"]] == [
        "rows"
    ]
    again = ("persona_hub", "--to", str(tmp_path / "hub"), "--format", "alpaca")
    with pytest.raises(PublishError, match="persona_hub has no conversations"):
        publish(made, *again, *conditions("writer"))
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


def test_card_counts_the_rows_of_each_config(made: SampleProject, tmp_path: Path) -> None:
    """The persona of a row left the hub, so that no request of it can be rendered."""
    found = read_rows(made.project, "tools", test_share=0.5)
    lost = {split: rows["sample_id"][0] for split, rows in found.rows.items() if len(rows) > 1}
    kept = {key: said for key, said in found.messages.items() if key not in lost.values()}
    none = Provenance((), (), (), {})
    made_of = publish_folder(
        made.project, replace(found, messages=kept), none, tmp_path / "tools", terms={}
    )
    card = (tmp_path / "tools" / "README.md").read_text()
    assert lost
    for (config, split), rows in made_of.rows.items():
        written = pl.read_parquet(tmp_path / "tools" / config / f"{split}-*.parquet")
        assert f"| `{config}` | {split} | {len(written)} |" in card
        assert rows == len(written) == len(found.rows[split]) - (config != "rows" and split in lost)
    assert f"\n{len(lost)} rows are in `rows` alone" in card
    publish_folder(made.project, replace(found, messages={}), none, tmp_path / "none", terms={})
    total = sum(map(len, found.rows.values()))
    assert f"\n{total} rows are in `rows` alone" in (tmp_path / "none" / "README.md").read_text()


def test_licences_of_strangers_are_inert_and_few_in_the_card(
    made: SampleProject, tmp_path: Path
) -> None:
    found = read_rows(made.project, "persona_hub")
    hostile = pl.concat_str(
        pl.lit("<script>x</script> [a](b)\n# terms\n---\nlicense: mit "), "persona_id"
    )
    rows = {TRAIN: found.rows[TRAIN].with_columns(licence=hostile)}
    none = Provenance((), (), (), {})
    publish_folder(made.project, replace(found, rows=rows), none, tmp_path / "hub", terms={})
    card = (tmp_path / "hub" / "README.md").read_text()
    assert front_matter(tmp_path / "hub")["license"] == "other"
    assert "<script>" not in card
    assert "[a]" not in card
    assert "\n# terms" not in card
    listed = [line for line in card.splitlines() if line.startswith("| script")]
    assert len(listed) == MOST_REASONS < len(found.rows[TRAIN])
    assert f"| {len(found.rows[TRAIN]) - MOST_REASONS} more |" in card


def test_licence_that_a_hub_does_not_list_is_named_beside_other(
    made: SampleProject, tmp_path: Path
) -> None:
    found = read_rows(made.project, "persona_hub")
    rows = {TRAIN: found.rows[TRAIN].with_columns(licence=pl.lit("CC-BY-SA-2.5"))}
    none = Provenance((), (), (), {})
    publish_folder(made.project, replace(found, rows=rows), none, tmp_path / "hub", terms={})
    head = front_matter(tmp_path / "hub")
    assert (head["license"], head["license_name"]) == ("other", "cc-by-sa-2.5")


def test_rows_without_a_licence_can_be_chosen(made: SampleProject) -> None:
    rows = pl.DataFrame({"licence": ["CC0-1.0", None, "unknown", ""]})
    assert select_licences(rows, ["unknown"])["licence"].to_list() == [None, "unknown", ""]
    assert select_licences(rows, ["cc0"])["licence"].to_list() == ["CC0-1.0"]


def test_card_claims_no_comparison_that_was_not_made(
    made: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read_rows(made.project, "math_train")
    none = made.project.forbidden_problems().clear()
    monkeypatch.setattr(Project, "forbidden_problems", lambda _: none)
    facts = CardFacts(dataset_licence({"MIT": 1}), Provenance((), (), (), {}), {}, {}, {})
    card = render_card(made.project, found, facts)
    assert "These rows were not compared with any benchmark; no problem of the split train" in card
    assert "contains a problem of" not in card


def test_mistakes_are_refused_with_the_way_out(made: SampleProject, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    cases = {
        ("tool", "--to", str(tmp_path / "x")): "did you mean tools?",
        ("tools", "--to", str(tmp_path / "x")): "add --model-terms 'writer=TEXT'",
        (
            *("tools", "--to", str(tmp_path / "taken")),
            *conditions("writer"),
        ): "is no earlier publication",
        (
            *("tools", "--to", str(tmp_path / "file")),
            *conditions("writer"),
        ): "is a file",
        (
            *("tools", "--to", str(tmp_path / "x"), "--only-licence", "MIT"),
            *conditions("writer"),
        ): "there are no rows to publish",
    }
    for arguments, sentence in cases.items():
        with pytest.raises(ValueError, match=re.escape(sentence)):
            publish(made, *arguments)
    assert (tmp_path / "taken" / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "x").exists()


def test_text_of_strangers_is_inert_in_the_card(made: SampleProject, tmp_path: Path) -> None:
    stated = "writer=any | `even` <b>this</b>"
    publish(made, "tools", "--to", str(tmp_path / "tools"), "--model-terms", stated, "--system")
    [line] = [
        line
        for line in (tmp_path / "tools" / "README.md").read_text().splitlines()
        if line.startswith("| `writer`")
    ]
    assert line.count("|") == 7
    assert "<" not in line
    [said, *_] = read(tmp_path / "tools" / "messages" / "train-00000-of-00001.parquet")["messages"]
    assert [message["role"] for message in said] == ["system", "user", "assistant"]
    assert set(json.loads(said[-1]["content"])) == set(made.project.prompts.tasks["tools"].columns)


def test_push_uploads_the_folder_and_goes_on_after_a_refusal(
    made: SampleProject, tmp_path: Path
) -> None:
    folder = tmp_path / "tools"
    with HubServer() as hub:
        hub.files["rows/train-00000-of-00002.parquet"] = b"of an earlier publication"
        hub.refuse = 1
        arguments = ("tools", "--to", str(folder), "--push", "team/tools", *conditions("writer"))
        there = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_canary", "HF_HUB_OFFLINE": "0"}
        away = {**there, "HF_ENDPOINT": "http://127.0.0.1:9"}
        for code, sentence, environment in (
            (1, "the hub cannot be reached", away),
            (1, "the hub refuses the upload to team/tools", there),
            (0, "uploaded: ", there),
        ):
            process = made.command("publish", *arguments, **environment)
            out = " ".join("".join(process.communicate(timeout=120)).split())
            assert process.returncode == code, out
            assert sentence in out
            assert "hf_canary" not in out
        assert hub.files.keys() == {
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        }
        assert hub.files["README.md"] == (folder / "README.md").read_bytes()
        assert hub.tokens == {"Bearer hf_canary"}
        assert hub.repos[0]["visibility"] == "private"
    lines = (made.data / "published.jsonl").read_text().splitlines()
    # What an interrupted upload has sent is out.
    assert [json.loads(line)["repo"] for line in lines[-3:]] == ["team/tools"] * 3
