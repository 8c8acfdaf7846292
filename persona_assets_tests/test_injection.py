"""A text or persona that gives orders changes nothing but its own row and what is made from it.

Fifty attempts go through texts, ready personas, samples that other tasks are made from, messages of
conversations and problems that a judge scores, past a model that obeys each of them. The tables are
those of a project without them, but for the rows of their descendants.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from persona_assets_tests.assets.test_task_shapes import CHATS, REPLIES
from persona_assets_tests.injection_attempts import ATTEMPTS, MARK
from persona_assets_tests.obedient_model import BEST, ObedientModel
from persona_assets_tests.sample_project import SampleProject

CORPUS, READY = "letters.jsonl", ".personas/people.jsonl"
TEXTS = (
    "The swifts came back to the mill on the third of May, two days early.",
    "Dear sir, the bell you cast for us cracked in the first frost.",
    "Minutes of the beekeepers: nine hives lost, two swarms caught by the church.",
)
PERSONAS = (
    "A night porter in Lublin who knows every lift by its sound.",
    "A glazier in Porto who restores the windows of trams.",
    "A botanist in Quito who draws mosses from memory.",
)
TASKS = ("instructions", "math_problems", "replies", "chats")
SELECT = (
    "+key:judged_instructions or +key:math_solutions or +key:unique_replies or +key:unique_chats"
)
BETWEEN = ("persona_candidates", "persona_hub")
ASKED = (
    *("text_to_persona", "persona_to_persona", "instructions", "math_problems"),
    *("instructions_rubric", "math_problems_rubric", "math_solution"),
)
"""Prompts that all of the attempts, or some of them, reach."""


class Runs(NamedTuple):
    """Projects with the same rows, without and with the attempts."""

    clean: SampleProject
    attacked: SampleProject

    @property
    def model(self) -> ObedientModel:
        """Model of the attacked project."""
        assert isinstance(self.attacked.server, ObedientModel)
        return self.attacked.server


@pytest.fixture(scope="module")
def runs(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("injection")
    with ObedientModel(folder) as clean, ObedientModel(folder) as attacked:
        made = Runs(
            project(folder / "clean", clean, ()), project(folder / "attacked", attacked, ATTEMPTS)
        )
        for sample in made:
            before = files(sample.root)
            assert [run.error for run in sample.run(SELECT) if run.error] == []
            outside = {path for path in files(sample.root) if not path.startswith("data/")}
            assert outside == set(before)
            assert {name: files(sample.root)[name] for name in before} == before
        yield made


def project(folder: Path, server: ObedientModel, attempts: tuple[str, ...]) -> SampleProject:
    """Return a project with texts and ready personas, and attempts between them."""
    sample = SampleProject(folder, server)
    (sample.prompts / "tasks" / "replies.md").write_text(REPLIES)
    (sample.prompts / "tasks" / "chats.md").write_text(CHATS.replace("turns: 4", "turns: 2"))
    people = folder / "people"
    people.mkdir()
    # Rows have sources of their own: an attempt moves no other row to another line.
    write(sample.corpus / CORPUS, "text", mixed(TEXTS, attempts[::2]))
    write(people / "people.jsonl", "persona", mixed(PERSONAS, attempts[1::2]))
    judged = {"judge": 1.0, "hops": [0]}
    sample.values |= {
        "ready_personas": people,
        "personas_per_hop": None,
        # A share of the shard's problems would be another one with each further problem.
        "held_out_share": 1.0,
        "relations_per_persona": 1,
        "max_quarantine_share": 1.0,
        "max_rejected_share": 1.0,
        "tasks": {
            "instructions": judged,
            "math_problems": {**judged, "mode": "persona-few-shot", "shots": 2},
            "chats": {"hops": [0]},
        },
    }
    return sample


def mixed(rows: tuple[str, ...], attempts: tuple[str, ...]) -> list[str]:
    """Return attempts before, between and after the rows."""
    third = len(attempts) // 3 + 1
    parts = [attempts[start : start + third] for start in range(0, len(attempts), third)]
    found: list[str] = []
    for place, row in enumerate(rows):
        found += [*(parts[place] if place < len(parts) else ()), row]
    return found


def write(path: Path, column: str, rows: list[str]) -> None:
    lines = [
        {column: row, "source": hashlib.sha256(row.encode()).hexdigest()[:8], "licence": "CC0-1.0"}
        for row in rows
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def files(root: Path) -> dict[str, str]:
    """Return the hash of every file by its path below a folder."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def shards_of(sample: SampleProject, table: str) -> list[str]:
    return [shard for shard in (CORPUS, READY) if sample.storage.footer(table, shard) is not None]


def rows(sample: SampleProject, table: str) -> pl.DataFrame:
    return pl.concat([sample.rows(table, shard) for shard in shards_of(sample, table)])


def descendants(sample: SampleProject) -> set[str]:
    """Return the ids of the attempts' texts, and of all that is made from them."""
    texts = rows(sample, "raw_corpus")
    found = {row["text_id"] for row in texts.iter_rows(named=True) if MARK.search(row["text"])}
    people = rows(sample, "persona_candidates").sort("hop")
    for persona, parent in people.select("persona_id", "parent_id").iter_rows():
        found |= {persona} if parent in found else set()
    for task in TASKS:
        samples = rows(sample, task)
        of_people = samples.filter(pl.col("persona_id").is_in(list(found)))
        found |= set(of_people["sample_id"])
    return found


def untouched(sample: SampleProject, table: str, gone: set[str]) -> list[str]:
    """Return the rows of a table that descend from no attempt, with all their columns."""
    found = rows(sample, table)
    ids = ("text_id", "persona_id", "sample_id", "parent_id")
    own = [row for row in found.to_dicts() if not gone & {row.get(name) for name in ids}]
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in own)


TABLES = (
    *("raw_corpus", "text_personas", "hop_1_personas", "hop_6_personas", *BETWEEN, *TASKS),
    *("unique_instructions", "judged_instructions", "judged_math_problems", "unique_replies"),
    *("unique_chats", "math_solutions"),
)


def test_attempts_reach_every_kind_of_prompt(runs: Runs) -> None:
    reached = {prompt: len(orders) for prompt, orders in runs.model.obeyed.items()}
    print("attempts by prompt:", reached)
    assert len(ATTEMPTS) == 50
    assert reached["text_to_persona"] == 25
    assert all(reached.get(prompt, 0) >= 5 for prompt in ASKED)
    # Samples of other samples, and messages of conversations, carry orders on.
    assert any(MARK.search(text) for text in rows(runs.attacked, "replies")["reply"])
    said = rows(runs.attacked, "chats")["messages"].to_list()
    assert any(MARK.search(message["content"]) for each in said for message in each[1:])


@pytest.mark.parametrize("table", TABLES)
def test_rows_that_descend_from_no_attempt_are_those_of_a_project_without_them(
    runs: Runs, table: str
) -> None:
    clean = untouched(runs.clean, table, set())
    attacked = untouched(runs.attacked, table, descendants(runs.attacked))
    total = len(rows(runs.attacked, table))
    changed = len({*clean} ^ {*attacked})
    own = total - len(attacked)
    print(f"{table}: {own} of {total} rows are of attempts, {changed} others changed")
    assert attacked == clean
    assert not any(MARK.search(str(row)) for row in attacked)
    assert clean


def test_no_request_holds_the_orders_of_two_rows(runs: Runs) -> None:
    for messages in runs.model.requests:
        assert len(set(MARK.findall(str(messages)))) <= 1


def test_orders_are_text_of_a_user_message_and_no_template(runs: Runs) -> None:
    roles = {tuple(m["role"] for m in each) for each in runs.model.requests}
    assert isinstance(runs.clean.server, ObedientModel)
    assert roles == {tuple(m["role"] for m in each) for each in runs.clean.server.requests}
    sent = [message["content"] for each in runs.model.requests for message in each]
    assert any("{{ 7 * 191 }}" in text for text in sent)
    assert any("{% include '../../.env' %}" in text for text in sent)
    assert not any("1337" in text for text in sent)


def test_no_judgement_but_its_own_is_swayed(runs: Runs) -> None:
    for task in ("instructions", "math_problems"):
        judged = rows(runs.attacked, f"judged_{task}").iter_rows(named=True)
        own = [row for row in judged if MARK.search(row["persona"])]
        scores = [v for row in own for v in row["judgement"].values() if isinstance(v, int)]
        print(f"judged_{task}: {len(own)} samples of attempts had the scores they asked for")
        assert set(scores) <= {BEST}


def test_no_program_of_an_attempt_writes_a_file(runs: Runs) -> None:
    assert list(runs.model.folder.glob("ORDER-*")) == []


def test_no_shard_and_no_asset_is_added(runs: Runs) -> None:
    tables = [
        {(asset, shard) for asset, shard in sample.versions()}
        for sample in (runs.clean, runs.attacked)
    ]
    assert tables[0] == tables[1]
    assert runs.clean.settings.model_dump(
        exclude={"data_dir", "corpus", "prompts", *ENDPOINTS}
    ) == (runs.attacked.settings.model_dump(exclude={"data_dir", "corpus", "prompts", *ENDPOINTS}))


ENDPOINTS = {
    *("embedder", "writer", "solver", "second_solver", "judge", "evaluation", "ready_personas"),
}
