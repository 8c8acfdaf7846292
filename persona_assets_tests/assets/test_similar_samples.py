"""Samples with the meaning of an earlier one leave where their task asks for it, over all shards.

The server of these tests writes one of few math problems for every persona. Problems with the same
story have nearly the same vector, whatever their words.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from persona_assets.assets.graph import call_bounds
from persona_assets.definitions import build_defs
from persona_assets.generation import call_key
from persona_assets.ids import content_id
from persona_assets.local_models.embedder import MINILM
from persona_assets.planning.plan import make_plan
from persona_assets.project import Project
from persona_assets.settings import SettingsError
from persona_assets.steps.tasks import dataset_schema
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.assets.test_checks import replace, run_check
from persona_assets_tests.assets.test_semantic_stage import SemanticStage
from persona_assets_tests.conftest import in_memory
from persona_assets_tests.generation.fault_server import chat, embeddings
from persona_assets_tests.model_server import ModelServer, prompt_of, vector
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.sample_tables import publish

BIRDS, LETTERS = TEXTS
LATE = "new/late.jsonl"
UNIQUE = "+key:unique_math_problems"

BAKER = (
    "At the market of Bako a quiet baker stacks 12 crates of 7 apples each and 5 loose ones. "
    "How many apples are there?"
)
BAKER_AGAIN = BAKER.upper()
BAKER_REWORDED = "How much fruit has a baker with a dozen boxes, seven in each, plus five over?"
FERRY = "A ferry carries 40 crates of 9 pears and 3 loose plums over a strait. Count its fruit."
FERRY_REWORDED = "Across a strait go forty boxes holding nine pears, and three plums. Add them up."
POOL = [BAKER, BAKER_AGAIN, BAKER_REWORDED, FERRY, FERRY_REWORDED]


class ParaphrasingServer(ModelServer):
    """Model server that knows few math problems, and a vector for each of their stories."""

    def reply(self, message: str, body: dict[str, Any]) -> str:
        if "input" in body:
            return embeddings([story_vector(text).tolist() for text in body["input"]])
        if prompt_of(body) == "math_problems":
            key = int(call_key(body["model"], "/chat/completions", body)[:8], 16)
            return chat(POOL[key % len(POOL)])
        return super().reply(message, body)

    @property
    def embedded(self) -> list[str]:
        """All texts of all embedding requests."""
        return [text for body in self.bodies for text in body.get("input", ())]


def story_vector(text: str) -> np.ndarray:
    """Return the vector of a text; that of a problem is near that of its story."""
    if text not in POOL:
        return vector(text)
    story = "baker" if "baker" in text.lower() else "ferry"
    near = vector(story) + 0.05 * vector(text)
    return near / np.linalg.norm(near)


def ask_for_meaning(sample: SampleProject, task: str = "math_problems", **values: Any) -> None:
    """Set the cosine of a task, and other settings of it."""
    tasks = sample.values["tasks"]
    changed = {**tasks.get(task, {}), "unique_cosine": 0.9, **values}
    sample.values["tasks"] = {**tasks, task: changed}


def run(sample: SampleProject, select: str = UNIQUE) -> None:
    assert [run.error for run in sample.run(select) if run.error] == []


@pytest.fixture(scope="module")
def compared(environment: None) -> Iterator[tuple[SampleProject, ParaphrasingServer]]:
    """Project of two shards whose problems are compared by meaning; tests copy it."""
    with ParaphrasingServer() as server, in_memory() as root:
        sample = SampleProject(Path(root) / "project", server)
        for shard, texts in TEXTS.items():
            sample.write(shard, texts)
        ask_for_meaning(sample)
        run(sample)
        yield sample, server


def problems(sample: SampleProject, asset: str, *shards: str) -> dict[str, str]:
    """Return the problems of shards by id, in order of arrival."""
    tables = [sample.rows(asset, shard).select("sample_id", "problem") for shard in shards]
    return dict(row for table in tables for row in table.iter_rows())


def survivors(sample: SampleProject) -> dict[str, str]:
    """Return the survivor of each problem with the meaning of an earlier one."""
    table = sample.rows("similar_math_problems")
    assert set(table["stage"]) <= {"semantic"}
    return dict(table.select("sample_id", "survivor_id").iter_rows())


def first_of_each_story(rows: Mapping[str, str]) -> dict[str, str]:
    """Return the survivor of each problem that has an earlier problem's story."""
    first: dict[bool, str] = {}
    for row_id, problem in rows.items():
        first.setdefault("baker" in problem.lower(), row_id)
    stories = {row_id: first["baker" in problem.lower()] for row_id, problem in rows.items()}
    return {row_id: survivor for row_id, survivor in stories.items() if row_id != survivor}


def test_paraphrases_leave_with_the_earliest_as_survivor(
    compared: tuple[SampleProject, ParaphrasingServer],
) -> None:
    sample, _ = compared
    distinct = problems(sample, "distinct_math_problems", BIRDS, LETTERS)
    assert len(set(map(str.lower, distinct.values()))) == len(distinct) > 2
    found = survivors(sample)
    assert found == first_of_each_story(distinct) != {}
    for shard in TEXTS:
        rows = sample.rows("distinct_math_problems", shard)
        unique = sample.rows("unique_math_problems", shard)
        assert unique.equals(rows.filter(~pl.col("sample_id").is_in(list(found))))
        dropped = sample.storage.quarantine("unique_math_problems", shard)
        assert set(dropped["id"]) == found.keys() & set(rows["sample_id"])
        assert set(dropped["reason"]) <= {"semantic_duplicate"}
        by_words = sample.storage.quarantine("distinct_math_problems", shard)
        assert set(by_words["reason"]) <= {"lexical_duplicate"}


def test_samples_are_embedded_once_and_without_duplicates_by_words(
    compared: tuple[SampleProject, ParaphrasingServer],
) -> None:
    sample, server = compared
    distinct = problems(sample, "distinct_math_problems", BIRDS, LETTERS)
    sent = [text for text in server.embedded if text in POOL]
    assert sorted(sent) == sorted(distinct.values())
    bounds = call_bounds(Project(sample.settings), len(TEXTS), 4, once=True)
    made = sum(len(sample.journal("embedded_math_problems", shard)) for shard in TEXTS)
    bound = bounds.calls("embedded_math_problems")
    assert bound is not None
    with_problems = [s for s in TEXTS if problems(sample, "distinct_math_problems", s)]
    assert made == len(with_problems) <= bound


def test_a_new_shard_changes_no_earlier_survivor_and_embeds_its_own_samples_alone(
    compared: tuple[SampleProject, ParaphrasingServer], folder: Path
) -> None:
    with ParaphrasingServer() as server:
        sample = compared[0].copy(folder / "copy", server)
        ask_for_meaning(sample)
        before, versions = survivors(sample), sample.versions()
        sample.write(LATE, ["A letter about the tide tables of the harbour.", "On bells."])
        run(sample)
        after = survivors(sample)
        late = problems(sample, "distinct_math_problems", LATE)
        earlier = problems(sample, "distinct_math_problems", BIRDS, LETTERS)
        assert after == first_of_each_story({**earlier, **late})
        assert before.items() <= after.items()
        now = sample.versions()
        assert {
            shard for table in versions if now[table] != versions[table] for shard in table[1:]
        } <= {None}
        assert sorted(text for text in server.embedded if text in POOL) == sorted(late.values())
        # A call each for the vectors of the new personas and of the new samples, if there are any.
        assert server.calls["embeddings"] == 1 + bool(late)


def test_why_leads_from_a_repeated_wording_over_a_paraphrase_to_the_survivor(
    compared: tuple[SampleProject, ParaphrasingServer],
) -> None:
    sample, _ = compared
    similar = survivors(sample)
    lexical = dict(
        sample.rows("duplicate_math_problems").select("sample_id", "survivor_id").iter_rows()
    )
    start = next(row_id for row_id, survivor in lexical.items() if survivor in similar)
    middle, end = lexical[start], similar[lexical[start]]
    rows = sample.catalog.query(
        "SELECT step, row_id, asset, outcome, reason, survivor_id FROM why(?)", [start]
    )
    assert [row[1:] for row in rows.rows() if row[0] == 0] == [
        (start, "math_problems", "kept", None, None),
        (start, "distinct_math_problems", "dropped", "lexical_duplicate", middle),
    ]
    assert [row[1:] for row in rows.rows() if row[0] == 1] == [
        (middle, "math_problems", "kept", None, None),
        (middle, "distinct_math_problems", "kept", None, None),
        (middle, "embedded_math_problems", "kept", None, None),
        (middle, "unique_math_problems", "dropped", "semantic_duplicate", end),
    ]
    last = [row for row in rows.rows() if row[0] == 2]
    assert [row[2:4] for row in last][-1] == ("unique_math_problems", "kept")
    trace = sample.catalog.query("SELECT row_id, asset FROM trace(?)", [start])
    assert trace.rows()[0] == (start, "math_problems")


def test_survivors_by_content_do_not_depend_on_arrival(
    compared: tuple[SampleProject, ParaphrasingServer], folder: Path
) -> None:
    with ParaphrasingServer() as server:
        sample = compared[0].copy(folder / "copy", server)
        ask_for_meaning(sample)
        sample.values["survivor_priority"] = "content"
        run(sample, "key:duplicate_math_problems+ and +key:unique_math_problems")
        found = survivors(sample)
        distinct = problems(sample, "distinct_math_problems", BIRDS, LETTERS)
        assert found == first_of_each_story(dict(sorted(distinct.items())))


def test_a_survivor_with_the_meaning_of_another_fails_the_check(
    compared: tuple[SampleProject, ParaphrasingServer], folder: Path
) -> None:
    with ParaphrasingServer() as server:
        sample = compared[0].copy(folder / "copy", server)
        ask_for_meaning(sample)
        check = (sample, "similar_math_problems", "survivors_stand", None)
        assert run_check(*check).passed
        rows = sample.rows("similar_math_problems")
        replace(sample, "similar_math_problems", None, rows.tail(-1))
        missed = run_check(*check)
        assert (missed.passed, missed.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert missed.metadata["similar_survivors"].value > 0
        replace(sample, "similar_math_problems", None, rows.with_columns(similarity=0.5))
        wrong = run_check(*check)
        assert (wrong.passed, wrong.severity) == (False, dg.AssetCheckSeverity.ERROR)


def code_versions(sample: SampleProject) -> dict[str, str | None]:
    specs = sample.defs.resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec.code_version for spec in specs}


def test_a_cosine_adds_tables_and_changes_no_code_version(fresh: SampleProject) -> None:
    before = code_versions(fresh)
    assert not [name for name in before if name.startswith(("distinct", "embedded", "similar"))]
    ask_for_meaning(fresh)
    with_cosine = code_versions(fresh)
    assert with_cosine.keys() - before.keys() == {
        f"{kind}_math_problems" for kind in ("distinct", "embedded", "similar")
    }
    assert before.items() <= with_cosine.items()
    ask_for_meaning(fresh, unique_cosine=0.8)
    changed = code_versions(fresh).items() - with_cosine.items()
    assert {name for name, _ in changed} == {"similar_math_problems"}
    ask_for_meaning(fresh, unique=False)
    assert code_versions(fresh).keys() == before.keys()


def test_a_higher_cosine_decides_again_without_a_call(
    compared: tuple[SampleProject, ParaphrasingServer], folder: Path
) -> None:
    with ParaphrasingServer() as server:
        sample = compared[0].copy(folder / "copy", server)
        ask_for_meaning(sample, unique_cosine=1.0)
        run(sample)
        assert survivors(sample) == {}
        assert server.calls.total() == 0


def test_plan_counts_the_embedding_calls_of_samples(
    compared: tuple[SampleProject, ParaphrasingServer], folder: Path
) -> None:
    with ParaphrasingServer() as server:
        sample = compared[0].copy(folder / "copy", server)
        ask_for_meaning(sample)
        sample.write(LATE, ["A letter about the tide tables of the harbour."])
        with sample.runner(UNIQUE) as runner:
            plan = make_plan(Project(sample.settings), runner)
        [forecast] = [each for each in plan.assets if each.asset == "embedded_math_problems"]
        assert forecast.tables == 1
        assert forecast.calls is not None
        assert 0 < forecast.calls.estimate <= 1
        assert forecast.most == call_bounds(Project(sample.settings), 1, 1).calls(forecast.asset)


def group_tasks(sample: SampleProject) -> None:
    """Add the task `word_problems`, whose samples and those of `math_problems` are compared."""
    text = (sample.prompts / "tasks" / "math_problems.md").read_text()
    for name in ("math_problems", "word_problems"):
        path = sample.prompts / "tasks" / f"{name}.md"
        path.write_text(text.replace("\nvariables", "\nunique: {among: problems}\nvariables", 1))


def test_tasks_of_a_group_are_compared_with_each_other_by_meaning(
    compared: tuple[SampleProject, ParaphrasingServer], folder: Path
) -> None:
    with ParaphrasingServer() as server:
        sample = compared[0].copy(folder / "copy", server)
        group_tasks(sample)
        ask_for_meaning(sample)
        ask_for_meaning(sample, "word_problems", per_shard=4)
        run(sample, "+key:unique_word_problems or +key:unique_math_problems")
        rows = {
            row_id: problem
            for shard in TEXTS
            for task in ("math_problems", "word_problems")
            for row_id, problem in problems(sample, f"distinct_{task}", shard).items()
        }
        table = sample.rows("similar_problems").select("sample_id", "survivor_id")
        assert dict(table.iter_rows()) == first_of_each_story(rows)
        words = {row_id for shard in TEXTS for row_id in problems(sample, "word_problems", shard)}
        assert any(row_id in words for row_id in table["sample_id"])


def test_a_task_of_a_group_without_a_cosine_is_an_error_that_names_the_setting(
    fresh: SampleProject,
) -> None:
    group_tasks(fresh)
    ask_for_meaning(fresh)
    with pytest.raises(SettingsError, match="set PERSONA_TASKS__WORD_PROBLEMS__UNIQUE_COSINE, too"):
        build_defs(fresh.settings)
    ask_for_meaning(fresh, "word_problems", unique=False)
    build_defs(fresh.settings)


SAMPLES = [
    "A baker sells 12 loaves in the morning and 9 in the evening. How many loaves does he sell?",
    "How many loaves are sold by a baker who sells 12 loaves in the morning and 9 in the evening?",
    "Three ferries cross the strait twice a day. How many crossings are there in a week?",
    "ครูวัยเกษียณที่ชอบปลูกกล้วยไม้",
    "ชาวประมงหนุ่มที่ซ่อมเครื่องยนต์เรือ",
]
"""Two problems with the same meaning, another one, and two texts that MiniLM cannot read."""


class SampleStage(SemanticStage):
    """Project of distinct math problems, embedded by MiniLM, and their duplicates by meaning."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(
            folder,
            embedder={"model": MINILM, "embedded": True},
            embedding_dimensions=None,
            tasks={"math_problems": {"unique_cosine": 0.9}},
            **settings,
        )

    def write_samples(self, shard: str, texts: list[str]) -> None:
        schema = dataset_schema(Project(self.settings).prompts.tasks["math_problems"])
        rows = [{"sample_id": content_id(text), "problem": text} for text in texts]
        publish(self.storage, "distinct_math_problems", shard, typed_frame(rows, schema))
        self.texts |= {content_id(text): text for text in texts}
        self.shards.append(shard)

    def similar(self) -> tuple[dict[str, str], Mapping[str, Any]]:
        """Return the survivor's text of each duplicate, and the metadata of the search."""
        for shard in self.shards:
            self.materialize("embedded_math_problems", shard)
        metadata = self.materialize("similar_math_problems")
        rows = self.storage.scan("similar_math_problems", None).collect()
        pairs = rows.select("sample_id", "survivor_id").iter_rows()
        return {self.texts[row]: self.texts[survivor] for row, survivor in pairs}, metadata


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_embedded_model_finds_paraphrases_and_leaves_out_what_it_cannot_read(
    tmp_path: Path, precision: str
) -> None:
    stage = SampleStage(tmp_path, embedding_precision=precision)
    stage.write_samples("a", [SAMPLES[0], SAMPLES[3]])
    stage.write_samples("b", [*SAMPLES[1:3], SAMPLES[4]])
    found, metadata = stage.similar()
    assert found == {SAMPLES[1]: SAMPLES[0]}
    assert (metadata["unread_texts"], metadata["unread_scripts"]) == (2, "Thai 2")
    assert (metadata.get("texts_embedded_anew", 0) > 0) == (precision == "int8")


def test_of_a_long_sample_the_beginning_is_compared_and_the_cut_is_told(tmp_path: Path) -> None:
    beginning = f"{SAMPLES[0]} {SAMPLES[2]}"
    texts = [f"{beginning} Then he sleeps.", f"{beginning} The moon is sold to banks for cheese."]
    stage = SampleStage(tmp_path, embedding_bytes=len(beginning))
    stage.write_samples("a", [*texts, SAMPLES[2]])
    assert stage.materialize("embedded_math_problems", "a")["cut_texts"] == 2
    vectors = dict(
        stage.storage.scan("embedded_math_problems", "a")
        .select("sample_id", "vector")
        .collect()
        .iter_rows()
    )
    first, second, other = (vectors[content_id(text)] for text in (*texts, SAMPLES[2]))
    assert first == second != other
    assert stage.similar()[0] == {texts[1]: texts[0]}
