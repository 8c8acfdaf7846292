"""A judged task has one more table, which the solutions read; where too much fails, nothing more
is bought."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from persona_assets.catalog.catalog import Catalog
from persona_assets.settings import SettingsError
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject

SHARD = "forum/birds.jsonl"
JUDGED = "judged_math_problems"


@pytest.fixture(scope="module")
def judged(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """Project whose math problems were judged before they were solved; tests only read it."""
    with ModelServer() as server:
        sample = project(tmp_path_factory.mktemp("judged") / "project", server)
        assert solve(sample) == []
        yield sample


@pytest.fixture
def sample(judged: SampleProject, tmp_path: Path) -> Iterator[SampleProject]:
    """Copy of the project, and a server that counts anew."""
    with ModelServer() as server:
        copy = judged.copy(tmp_path / "project", server)
        copy.values |= {"training_sizes": [], "tasks": judged.values["tasks"].copy()}
        yield copy


def project(root: Path, server: ModelServer) -> SampleProject:
    sample = SampleProject(root, server)
    sample.write(SHARD, [*TEXTS[SHARD][:2], "The ferry leaves at nine.", "Barley is dear."])
    sample.values |= {"training_sizes": [], "tasks": {"math_problems": {"judge": 1.0}}}
    return sample


def solve(sample: SampleProject, select: str = "+key:math_solutions") -> list[str]:
    return [run.error for run in sample.run(select) if run.error]


def test_solutions_are_of_accepted_problems_alone(judged: SampleProject) -> None:
    accepted = judged.rows(JUDGED, SHARD)
    dropped = judged.storage.quarantine(JUDGED, SHARD)
    problems = len(judged.rows("unique_math_problems", SHARD))
    assert len(accepted) + len(dropped) == judged.server.calls["math_problems_rubric"] == problems
    assert 0 < len(dropped) < problems
    assert set(judged.rows("math_solutions", SHARD)["sample_id"]) <= set(accepted["sample_id"])


def test_second_run_judges_nothing_again(sample: SampleProject) -> None:
    assert sample.run("+key:math_solutions") == []
    assert sample.server.calls.total() == 0


def test_threshold_changes_the_verdicts_and_buys_no_judgement(sample: SampleProject) -> None:
    before = sample.rows(JUDGED, SHARD)
    sample.edit("rubrics/math_problems", "self_contained: 4, solvable: 4", "solvable: 1")
    assert solve(sample, "key:judged_math_problems") == []
    after = sample.rows(JUDGED, SHARD)
    assert len(after) == len(sample.rows("unique_math_problems", SHARD)) > len(before)
    assert sample.server.calls.total() == 0


def test_task_without_a_judge_keeps_its_problems_and_solutions(sample: SampleProject) -> None:
    versions = sample.versions()
    sample.values["tasks"] = {}
    assert solve(sample) == []
    assert sample.versions()["math_problems", SHARD] == versions["math_problems", SHARD]
    # Only problems that the judge had rejected are new to the solvers.
    assert set(sample.server.calls) <= {"math_solution", "math_program"}
    rejected = len(sample.storage.quarantine(JUDGED, SHARD))
    assert sample.server.calls["math_solution"] <= 2 * rejected


def test_rejected_problems_hold_up_the_solvers_on_any_day(sample: SampleProject) -> None:
    (sample.storage.path("math_solutions", SHARD)).unlink()
    sample.values["max_rejected_share"] = 0.05
    [error] = solve(sample, "key:math_solutions")
    assert "PERSONA_MAX_REJECTED_SHARE" in error
    assert "judge_" in error
    sample.values["max_rejected_share"] = 0.9
    assert solve(sample, "key:math_solutions") == []
    assert sample.server.calls.total() == 0


def test_rejected_problems_fail_the_check_of_their_table(sample: SampleProject) -> None:
    (sample.storage.path(JUDGED, SHARD)).unlink()
    sample.values["max_rejected_share"] = 0.05
    [error] = solve(sample, "key:judged_math_problems+")
    assert "rejected_share" in error or "run failed" in error
    assert sample.server.calls["math_solution"] == 0


def test_why_names_the_score_of_a_rejected_problem(judged: SampleProject) -> None:
    [first, *_] = judged.storage.quarantine(JUDGED, SHARD)["id"]
    catalog: Catalog = judged.catalog
    fate = catalog.query("SELECT asset, outcome, reason FROM why(?)", [first]).rows()
    assert (JUDGED, "dropped") in [(asset, outcome) for asset, outcome, _ in fate]
    assert any(reason and reason.startswith("judge_") for _, _, reason in fate)


def test_judgement_is_a_column_in_sql(judged: SampleProject) -> None:
    scores = judged.catalog.query(f"SELECT judgement.solvable FROM {JUDGED}")
    assert set(scores["solvable"]) == {5}


def test_missing_rubric_is_named(sample: SampleProject) -> None:
    (sample.prompts / "rubrics" / "math_problems.md").unlink()
    with pytest.raises(SettingsError, match=r"rubrics/math_problems\.md"):
        _ = sample.defs


def test_profile_without_its_rubric_judges_nothing(sample: SampleProject) -> None:
    (sample.prompts / "rubrics" / "math_problems.md").unlink()
    sample.values |= {"profile": "current", "tasks": {}}
    del sample.values["tasks"]
    names = {spec.key.to_user_string() for spec in sample.defs.resolve_all_asset_specs()}
    assert JUDGED not in names


def test_rubric_reads_the_world_of_its_task(sample: SampleProject) -> None:
    sample.values["tasks"] = {
        "game_npcs": {"judge": 1.0, "variables": {"world": "harbour"}, "per_shard": 2}
    }
    assert [run.error for run in sample.run("+key:judged_game_npcs") if run.error] == []
    asked = [
        request["messages"][0]["content"]
        for request in sample.server.bodies
        if "You keep the lore" in json.dumps(request)
    ]
    harbour = (sample.prompts / "worlds" / "harbour.md").read_text().strip()
    assert asked
    assert all(harbour[:80] in system for system in asked)
