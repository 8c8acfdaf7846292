"""Each shipped use case makes rows in all three modes and in its variants, back to their text."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from persona_assets.assets.datasets import source_of
from persona_assets.assets.origins import possible_origins
from persona_assets.planning.trial import TrialRow, try_task
from persona_assets.project import Project
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.resources.models import Models
from persona_assets.settings import Settings
from persona_assets.steps.conversations import first_request
from persona_assets.steps.tasks import sample_inputs
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import ROOT, TASKS, TEXTS, SampleProject
from persona_assets_tests.strong_model import StrongModel, marks_of, texts_of

SHARD = "forum/birds.jsonl"
USE_CASES = (
    "replies",
    "conversations",
    "dialogues",
    "reading_materials",
    "persona_profiles",
    "logic_solutions",
    "reactions",
)
MODES: Mapping[str, dict[str, Any]] = {
    "zero-shot": {},
    "few-shot": {"mode": "few-shot", "shots": 2},
    "persona-few-shot": {"mode": "persona-few-shot", "shots": 2},
}
SHIPPED = Prompts(ROOT / "prompts")
VARIANTS = [
    f"{name}@{variant}"
    for name, prompt in SHIPPED.tasks.items()
    for variant in prompt.head.variants
]
FOR_SOLVERS = ("replies", "logic_solutions")
MADE = [*USE_CASES, "logic_problems@ruozhiba", "logic_solutions@ruozhiba"]


@pytest.fixture(scope="module")
def made(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """Project with every use case, made once; trials write journals alone."""
    with ModelServer() as server:
        sample = SampleProject(
            tmp_path_factory.mktemp("use_cases") / "project", server, [*TASKS, *USE_CASES]
        )
        sample.write(SHARD, [*TEXTS[SHARD][:2], "The ferry leaves at nine."])
        tasks = {name: {"per_shard": 3} for name in MADE}
        sample.values |= {"training_sizes": [], "tasks": tasks}
        keys = (f'+key:"{name.replace("@", "/")}"' for name in (*MADE, "distribution_reactions"))
        assert [run.error for run in sample.run(" or ".join(keys)) if run.error] == []
        yield sample


def trial(made: SampleProject, name: str, settings: Mapping[str, Any]) -> list[TrialRow]:
    """Try a task with a model and a judge, one in ten of whose answers are bad."""
    judge = {} if SHIPPED.rubric(name) is None else {"judge": 1.0}
    with StrongModel(bad=0.1) as server:
        roles = {
            role: {**made.endpoint(role), "base_url": server.url}
            for role in ("writer", "solver", "judge", "embedder")
        }
        task = {**judge, **settings}
        values = {**made.values, **roles, "tasks": {**made.values["tasks"], name: task}}
        project = Project(Settings.load(**values))
        with closing(Models(project.settings, project.storage)) as models:
            return try_task(project, models, name, 6, lambda _: None).rows


@pytest.mark.parametrize("name", MADE)
def test_use_case_makes_a_row_or_a_told_drop_of_each_origin(made: SampleProject, name: str) -> None:
    rows, dropped = made.rows(name, SHARD), made.storage.quarantine(name, SHARD)
    assert len(rows) + len(dropped) == 3
    assert len(rows) > 0, dropped["reason"].to_list()
    assert {"repairs", "licence", "language", "model", "completion_id"} <= set(rows.columns)


@pytest.mark.parametrize("name", MADE)
def test_trace_leads_from_a_row_to_its_text(made: SampleProject, name: str) -> None:
    [row, *_] = made.rows(name, SHARD)["sample_id"]
    chain = made.catalog.query("SELECT asset FROM trace(?) ORDER BY step", [row])["asset"].to_list()
    assert chain[0] == name
    assert chain[-2:] == ["text_personas", "raw_corpus"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", USE_CASES)
def test_use_case_has_rows_and_verdicts_in_each_mode(
    made: SampleProject, name: str, mode: str
) -> None:
    tried = trial(made, name, MODES[mode])
    published = [row.row for row in tried if row.row is not None]
    assert published, [row.reason for row in tried]
    assert all(row.reason for row in tried if row.row is None)
    texts = [text for row in published for text in texts_of({**row, "judgement": None})]
    # Somebody may end a message with "let me know".
    assert [(mark, text) for text in texts for mark in marks_of(text) if mark != "closing"] == []
    shown = json.dumps([row.messages for row in tried], ensure_ascii=False)
    personas = [shot for shot in SHIPPED[name].pool if shot["persona"] in shown]
    # Who answers or solves does not see the persona.
    assert bool(personas) == (mode == "persona-few-shot" and name not in FOR_SOLVERS)
    assert {len(row.messages) for row in tried} == {2 + 2 * MODES[mode].get("shots", 0)}


@pytest.mark.parametrize("name", VARIANTS)
def test_shipped_variant_makes_rows(made: SampleProject, name: str) -> None:
    tried = trial(made, name, {})
    assert any(row.row is not None for row in tried), [row.reason for row in tried]


def test_variant_is_made_from_the_variant_of_its_source(made: SampleProject) -> None:
    assert made.assets["logic_solutions@ruozhiba"].inputs == ["unique_logic_problems@ruozhiba"]
    assert made.assets["logic_solutions"].inputs == ["unique_logic_problems"]
    problems = made.rows("logic_problems@ruozhiba", SHARD)["problem"]
    assert set(made.rows("logic_solutions@ruozhiba", SHARD)["problem"]) <= set(problems)


@pytest.mark.parametrize("name", USE_CASES)
def test_requests_of_dropped_rows_are_rendered_for_the_report(
    made: SampleProject, name: str
) -> None:
    project = made.project
    prompt = project.prompts.tasks[name]
    source = source_of(project.prompts, project.settings.tasks, prompt)
    found = possible_origins(project, prompt, source, SHARD)
    assert found is not None
    inputs = sample_inputs(found, prompt, 1, source.prompt if source else None)
    assert {row.row_id for row in inputs} >= set(made.rows(name, SHARD)["sample_id"])
    assert all(first_request(prompt, row).messages for row in inputs)


def test_profile_sees_the_parent_of_its_persona(made: SampleProject) -> None:
    hub = {row["persona_id"]: row for row in made.rows("persona_hub", SHARD).iter_rows(named=True)}
    texts = [
        body["messages"][-1]["content"]
        for body in made.server.bodies
        if "Write the page" in str(body.get("messages"))
    ]
    rows = [hub[each] for each in made.rows("persona_profiles", SHARD)["persona_id"]]
    for row in rows:
        [text] = [text for text in texts if row["persona"] in text.splitlines()[0]]
        parent = hub.get(row["parent_id"])
        assert ("Somebody close" in text) == (parent is not None)
        assert parent is None or (parent["persona"] in text and row["relation"] in text)


def test_distribution_counts_each_reaction_once_with_its_interval(made: SampleProject) -> None:
    report, rows = made.rows("distribution_reactions"), made.rows("unique_reactions", SHARD)
    assert set(report["value"]) == set(SHIPPED["reactions"].head.output["stance"]["enum"])
    whole = report.filter(report["stratum"] == "all")
    assert dict(whole.select("value", "count").iter_rows()) == {
        value: rows["stance"].to_list().count(value) for value in whole["value"]
    }
    by_cluster = report.filter(report["strata"] == "cluster")
    assert by_cluster["count"].sum() == len(rows)
    assert by_cluster["stratum"].str.contains(r"^cluster (\d+(: [^,]+, [^,]+)?|none)$").all()
    by_stratum = report.filter(report["strata"] == "hop, language")
    assert by_stratum["count"].sum() == whole["n"][0] == len(rows)
    # Three personas of three hops: a stratified draw takes none twice while there are others.
    assert by_stratum["n"].to_list() == [1] * len(by_stratum)
    assert all(
        low <= share <= high
        for share, low, high in report.select("share", "low", "high").iter_rows()
    )
