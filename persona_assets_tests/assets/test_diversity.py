"""Pairs, panels of two models and control arms run in Dagster, within the calls that are told."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets.assets.graph import call_bounds
from persona_assets.planning.plan import make_plan
from persona_assets.settings import SettingsError
from persona_assets.steps.control_problems import ARMS
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject
from persona_assets_tests.sampling_server import SamplingServer

SHARD = "letters.jsonl"
TEXTS = [f"Bell number {number} needs mending before the frost." for number in range(16)]
NUMBER = 24
SELECT = '+key:"diversity_report" or +key:"control_arms"'


@pytest.fixture(scope="module")
def made(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """Project with control arms and a second writer, made once."""
    with SamplingServer("control_problem") as server:
        sample = SampleProject(tmp_path_factory.mktemp("diversity") / "project", server)
        sample.write(SHARD, TEXTS)
        sample.values |= {
            "control_problems": NUMBER,
            "pair_writer": sample.endpoint("second"),
            "pair_writer_similarity": 0.5,
            "training_sizes": [],
        }
        assert [run.error for run in sample.run(SELECT) if run.error] == []
        yield sample


def metadata(sample: SampleProject, asset: str) -> Mapping[str, dg.MetadataValue[Any]]:
    with sample.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata


def test_each_arm_has_a_problem_of_each_persona(made: SampleProject) -> None:
    rows = made.rows("control_problems")
    assert dict(rows["arm"].value_counts().iter_rows()) == dict.fromkeys(ARMS, NUMBER)
    assert rows["persona_id"].n_unique() == NUMBER
    assert rows["completion_id"].is_unique().all()
    assert set(rows["persona_id"]) <= set(made.rows("persona_hub", SHARD)["persona_id"])


def test_verdict_and_pictures_of_the_arms_are_shown(made: SampleProject) -> None:
    shown = metadata(made, "control_arms")
    assert f"against no persona, {NUMBER} each: " in str(shown["verdict"].value)
    assert "| Vendi score |" in str(shown["figures"].value)
    for name in ("near_duplicates", "measures"):
        assert "data:image/svg+xml" in str(shown[f"{name}_in_full"].value)


def test_panel_of_two_models_has_problems_of_both(made: SampleProject) -> None:
    rows = made.rows("diversity_report")
    panels = rows.filter(bucket=0.5)["panel"].unique().sort().to_list()
    assert panels == ["c: second (pair_writer)", "c: writer (writer)"]
    assert set(rows.filter(pl.col("panel").str.starts_with("a"))["bucket"]) == {0.0, 0.3}
    models = Counter(record.model for record in made.journal("diversity_report"))
    assert models["second"] > 0
    assert models["writer"] > models["second"]


def test_report_shows_the_columns_of_the_paper_and_says_whose_they_are(
    made: SampleProject,
) -> None:
    shown = metadata(made, "diversity_report")
    assert "| q3 | paper_q1 | paper_median | paper_q3 |" in str(shown["quartiles"].value)
    assert "arXiv 2406.20094" in str(shown["paper"].value)


@pytest.mark.parametrize("asset", ["control_problems", "control_arms", "diversity_report"])
def test_calls_are_within_the_bound(made: SampleProject, asset: str) -> None:
    bound = call_bounds(made.project, 1, once=True).calls(asset)
    assert bound is not None
    assert 0 < len(made.journal(asset)) <= bound
    if asset == "control_problems":
        assert len(made.journal(asset)) == bound == NUMBER * len(ARMS)


def test_a_larger_number_asks_the_new_problems_alone(
    made: SampleProject, server: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    larger = made.copy(tmp_path_factory.mktemp("larger") / "project", server)
    larger.values |= {name: made.values[name] for name in ("training_sizes",)}
    larger.values |= {"control_problems": NUMBER + 2}
    assert [run.error for run in larger.run('key:"control_problems"') if run.error] == []
    assert server.calls == {"control_problem": 2 * len(ARMS)}
    assert len(larger.rows("control_problems")) == (NUMBER + 2) * len(ARMS)


def test_without_the_settings_nothing_is_asked(finished: SampleProject) -> None:
    for asset in ("control_problems", "control_arms"):
        assert len(finished.rows(asset)) == 0
        assert finished.journal(asset) == []
        assert call_bounds(finished.project, 2).calls(asset) == 0
    verdict = str(metadata(finished, "control_arms")["verdict"].value)
    assert verdict.startswith("No control arms: set PERSONA_CONTROL_PROBLEMS")
    assert {panel[0] for panel in finished.rows("diversity_report")["panel"]} == {"a", "b"}


def test_a_second_writer_leaves_the_other_panels_as_they_are(
    project: SampleProject, server: ModelServer
) -> None:
    before = project.rows("diversity_report")
    project.values |= {"pair_writer": project.endpoint("second"), "pair_writer_similarity": 0.5}
    with project.runner('key:"persona_pairs" or key:"diversity_report"') as runner:
        forecasts = make_plan(project.project, runner).assets
    told = {forecast.asset: forecast.most for forecast in forecasts}
    assert [run.error for run in project.run("*") if run.error] == []
    after = project.rows("diversity_report")
    assert after.filter(pl.col("panel").str.starts_with("c").not_()).equals(before)
    assert len(after) > len(before)
    assert set(server.calls) == {"diversity_problem", "embeddings"}
    assert server.calls.total() <= (told["diversity_report"] or 0)


def test_project_without_the_prompt_has_no_control_arms_and_says_so_where_they_are_set(
    project: SampleProject,
) -> None:
    (project.prompts / "control_problem.md").unlink()
    assert not {"control_problems", "control_arms"} & set(project.assets)
    project.values |= {"control_problems": 5}
    with pytest.raises(SettingsError, match=r"PERSONA_CONTROL_PROBLEMS: .*control_problem\.md"):
        _ = project.assets
