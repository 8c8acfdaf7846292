"""Where a cosine is set, math problems leave that mean what a benchmark problem means.

The server of these tests gives a problem and its rewording nearly the same vector.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from persona_assets.assets.graph import call_bounds
from persona_assets.ids import content_id
from persona_assets.local_models.embedder import MINILM
from persona_assets.planning.plan import make_plan
from persona_assets.project import Project
from persona_assets.settings import SettingsError
from persona_assets.steps.math_solutions import SOLUTIONS
from persona_assets.steps.tasks import dataset_schema
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.assets.test_checks import replace, run_check
from persona_assets_tests.assets.test_semantic_stage import SemanticStage
from persona_assets_tests.assets.test_similar_samples import code_versions
from persona_assets_tests.generation.fault_server import chat, embeddings
from persona_assets_tests.model_server import ModelServer, prompt_of, vector
from persona_assets_tests.sample_project import TEXTS, SampleProject
from persona_assets_tests.sample_tables import publish

SETS = "key:math_train or key:math_test"
VECTORS = {"embedded_math_problems", "forbidden_vectors"}
QUANTITIES = re.compile(r"(\d+) crates of (\d+) apples each and (\d+) loose")


class RewordingServer(ModelServer):
    """Model server whose vectors of rewordings are near those of the problems they reword."""

    def __init__(self) -> None:
        super().__init__()
        self.reworded: dict[str, str] = {}

    def reply(self, message: str, body: dict[str, Any]) -> str:
        if prompt_of(body) == "same_problem":
            same = "yes" if "How much fruit is in a shop" in message else "no"
            return chat(json.dumps({"reason": "I compared both.", "same": same}))
        if "input" not in body:
            return super().reply(message, body)
        return embeddings([self.near(text).tolist() for text in body["input"]])

    def near(self, text: str) -> np.ndarray:
        mixed = vector(self.reworded.get(text, text)) + 0.1 * vector(text)
        return np.asarray(mixed / np.linalg.norm(mixed))


def rewording(problem: str) -> str:
    """Return a problem with the quantities of another in other words."""
    quantities = QUANTITIES.search(problem)
    assert quantities is not None
    boxes, each, over = quantities.groups()
    return (
        f"How much fruit is in a shop: {over} pieces lie on a shelf, {each} in {boxes} boxes each?"
    )


@pytest.fixture
def apart(
    finished: SampleProject, folder: Path
) -> Iterator[tuple[SampleProject, RewordingServer, dict[str, str]]]:
    """Finished project with a cosine, and a benchmark that rewords a problem of each math set.

    The third is the id of the reworded problem, by the name of the set.
    """
    with RewordingServer() as server:
        sample = finished.copy(folder / "project", server)
        chosen = {}
        for name in ("math_train", "math_test"):
            row = sample.rows(name).row(0, named=True)
            chosen[name] = row["sample_id"]
            server.reworded[rewording(row["problem"])] = row["problem"]
        benchmark = folder / "reworded.jsonl"
        lines = [{"problem": it, "solution": "\\boxed{1}"} for it in server.reworded]
        benchmark.write_text("".join(json.dumps(line) + "\n" for line in lines))
        sample.values |= {"decontaminate": [benchmark], "decontaminate_cosine": 0.9}
        yield sample, server, chosen


def run(sample: SampleProject, select: str) -> None:
    assert [run.error for run in sample.run(select) if run.error] == []


def test_a_problem_with_the_meaning_of_a_benchmark_problem_leaves_and_only_vectors_are_bought(
    apart: tuple[SampleProject, RewordingServer, dict[str, str]],
) -> None:
    sample, server, chosen = apart
    sample.values["decontaminate_cosine"] = None
    run(sample, SETS)
    assert all(chosen[name] in sample.rows(name)["sample_id"] for name in chosen), "by words"
    before = {name: sample.rows(name) for name in chosen}

    sample.values["decontaminate_cosine"] = 0.9
    run(sample, f"{SETS} or key:embedded_math_problems or key:forbidden_vectors")
    assert dict(server.calls) == {"embeddings": len(TEXTS) + 1}
    assert len(sample.rows("forbidden_vectors")) == len(chosen)
    for name, row_id in chosen.items():
        [reason] = dict(
            sample.storage.quarantine(name, None).filter(id=row_id).select("id", "reason").rows()
        ).values()
        assert re.fullmatch(
            r"contaminated: reworded \w+ 0\.\d\d by meaning \(cosine [01]\.\d\d\)", reason
        )
        assert set(before[name]["sample_id"]) - set(sample.rows(name)["sample_id"]) == {row_id}
        assert run_check(sample, name, "decontaminated", None).passed
        replace(sample, name, None, before[name])
        evaluation = run_check(sample, name, "decontaminated", None)
        assert not evaluation.passed
        assert "by meaning" in str(evaluation.metadata["first"].value)
    sample.storage.path("fine_tuned_model", "1").unlink()
    errors = [run.error for run in sample.run("key:fine_tuned_model")]
    assert any("by meaning (cosine" in error for error in errors)
    assert sample.storage.footer("fine_tuned_model", "1") is None


def test_a_judge_decides_on_near_problems_and_is_forecast_to_the_call(
    apart: tuple[SampleProject, RewordingServer, dict[str, str]],
) -> None:
    sample, server, chosen = apart
    # A rewording has a cosine of 0.995.
    sample.values |= {"decontaminate_cosine": 0.999, "decontaminate_judge_from": 0.99}
    vectors = " or ".join(f"key:{name}" for name in VECTORS)
    every = f"{SETS} or {vectors} or key:problem_neighbours or key:judged_neighbours"
    with sample.runner(every) as runner:
        forecasts = {it.asset: it for it in make_plan(Project(sample.settings), runner).assets}
    problems = sum(len(sample.rows("unique_math_problems", shard)) for shard in TEXTS)
    most = forecasts["judged_neighbours"].most
    assert most is not None
    assert most >= 3 * problems

    run(sample, f"{vectors} or key:problem_neighbours")
    bought = server.calls.total()
    pairs = sample.rows("problem_neighbours")
    assert set(pairs["sample_id"]) == set(chosen.values())
    with sample.runner(every) as runner:
        forecasts = {it.asset: it for it in make_plan(Project(sample.settings), runner).assets}
    each = call_bounds(Project(sample.settings), 1).question_calls(1, "same_problem")
    assert each is not None
    assert forecasts["judged_neighbours"].most == each * len(pairs)

    run(sample, every)
    assert server.calls.total() - bought == server.calls["same_problem"] == len(pairs)
    for name, row_id in chosen.items():
        gone = sample.storage.quarantine(name, None).filter(id=row_id)["reason"]
        assert gone.str.contains(r"^contaminated: reworded \w+ 0\.\d\d by judge").to_list() == [
            True
        ]
        assert run_check(sample, name, "decontaminated", None).passed
    # A table that lacks the verdicts does not pass.
    train = sample.rows("math_train")
    left = pairs.filter(sample_id=chosen["math_train"]).select("sample_id", "problem")
    back = typed_frame(left.rows(named=True), train.schema)
    replace(sample, "math_train", None, train.vstack(back))
    evaluation = run_check(sample, "math_train", "decontaminated", None)
    assert not evaluation.passed
    assert "by judge" in str(evaluation.metadata["first"].value)
    sample.storage.path("judged_neighbours", None).unlink()
    run(sample, every)
    assert server.calls.total() - bought == len(pairs), "each pair is asked once"


def test_a_judge_adds_two_tables_and_changes_the_math_sets_alone(fresh: SampleProject) -> None:
    fresh.values["decontaminate_cosine"] = 0.9
    before = code_versions(fresh)
    fresh.values["decontaminate_judge_from"] = 0.7
    after = code_versions(fresh)
    assert after.keys() - before.keys() == {"problem_neighbours", "judged_neighbours"}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"math_train", "math_test"}
    (fresh.prompts / "same_problem.md").unlink()
    with pytest.raises(SettingsError, match=r"no prompt at .*same_problem\.md: copy it from a new"):
        code_versions(fresh)
    fresh.values["decontaminate_cosine"] = 0.6
    with pytest.raises(SettingsError, match="below PERSONA_DECONTAMINATE_COSINE: set that to a"):
        code_versions(fresh)


def test_a_judge_decides_on_the_problems_of_each_arm(fresh: SampleProject) -> None:
    fresh.values |= {
        "train_without_personas": True,
        "decontaminate_cosine": 0.9,
        "decontaminate_judge_from": 0.7,
    }
    assert "judged_neighbours@no_persona" in fresh.assets["math_train@no_persona"].inputs
    bounds = call_bounds(Project(fresh.settings), 1)
    asked = bounds.calls("judged_neighbours")
    assert asked
    assert bounds.calls("judged_neighbours@no_persona") == asked


def test_a_cosine_adds_tables_of_vectors_and_changes_the_math_sets_alone(
    fresh: SampleProject,
) -> None:
    before = code_versions(fresh)
    assert not VECTORS & before.keys()
    fresh.values["decontaminate_cosine"] = 0.9
    after = code_versions(fresh)
    assert after.keys() - before.keys() == VECTORS
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"math_train", "math_test"}
    fresh.values["tasks"]["math_problems"]["unique_cosine"] = 0.9
    both = code_versions(fresh)
    assert both.keys() - after.keys() == {"distinct_math_problems", "similar_math_problems"}
    assert after.items() <= both.items()


def test_plan_counts_the_calls_of_both_tables_of_vectors(
    apart: tuple[SampleProject, RewordingServer, dict[str, str]],
) -> None:
    sample, _, _ = apart
    with sample.runner(f"{SETS} or key:embedded_math_problems or key:forbidden_vectors") as runner:
        plan = make_plan(Project(sample.settings), runner)
    forecasts = {each.asset: each for each in plan.assets if each.asset in VECTORS}
    assert {name: forecast.tables for name, forecast in forecasts.items()} == {
        "embedded_math_problems": len(TEXTS),
        "forbidden_vectors": 1,
    }
    most = call_bounds(Project(sample.settings), 1).calls("forbidden_vectors")
    assert forecasts["forbidden_vectors"].most == most
    assert most is not None
    assert most > 0
    sample.values |= {
        "embedder": {"model": MINILM, "embedded": True},
        "embedding_dimensions": None,
    }
    assert call_bounds(Project(sample.settings), 1).calls("forbidden_vectors") == 0


FLORIST = (
    "A florist has $84$ tulips and $126$ daffodils and wants to use all of them in identical "
    "bouquets. What is the greatest number of bouquets that can be made?"
)
REWORDED = (
    "All of 84 tulips and 126 daffodils are to go into bunches that are exactly alike. At most how "
    "many bunches can the flower seller tie?"
)
OTHERS = [
    "A tram has 84 seats and stops 126 times a day. How often is a seat taken?",
    "ราคา 84 บาท",
]
"""Another problem with the same numbers, and a text that MiniLM cannot read."""


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_embedded_model_finds_a_problem_that_is_told_anew(folder: Path, precision: str) -> None:
    benchmark = folder / "florist.jsonl"
    benchmark.write_text(json.dumps({"problem": FLORIST, "solution": "\\boxed{42}"}))
    stage = SemanticStage(
        folder / "data",
        embedder={"model": MINILM, "embedded": True},
        embedding_dimensions=None,
        embedding_precision=precision,
        decontaminate=[benchmark],
        decontaminate_cosine=0.75,
    )
    stage.shards.append("a")
    texts = {content_id(text): text for text in (REWORDED, *OTHERS)}
    samples = [{"sample_id": row_id, "problem": text} for row_id, text in texts.items()]
    schema = dataset_schema(Project(stage.settings).prompts.tasks["math_problems"])
    publish(stage.storage, "unique_math_problems", "a", typed_frame(samples, schema))
    solved = {"solver": "assistant", "held_out": False, "solution": "42", "answer": "42"}
    rows = [{"solution_id": row["sample_id"], **row, **solved} for row in samples]
    publish(stage.storage, "math_solutions", "a", typed_frame(rows, SOLUTIONS))
    stage.materialize("embedded_math_problems", "a")
    stage.materialize("forbidden_vectors")
    metadata = stage.materialize("math_train")
    assert metadata["contaminated_by_benchmark"] == {"florist": 1}
    assert metadata["compared_by_words_alone"] == 1
    [pair] = metadata["contaminated_pairs"].records
    shown = {
        name: str(value).replace("\N{NO-BREAK SPACE}", " ") for name, value in pair.data.items()
    }
    assert FLORIST.startswith(shown["contained"].removesuffix("..."))
    assert shown["how"] == "by meaning"
    kept = stage.storage.scan("math_train", None).collect()["problem"]
    assert sorted(kept) == sorted(OTHERS)
