"""Further solutions to each problem cost their difference, vote, and change nothing else."""

import dagster as dg
import polars as pl
import pytest

from persona_assets.planning.plan import make_plan
from persona_assets.project import Project
from persona_assets_tests.sample_project import TEXTS, SampleProject


@pytest.fixture
def voting(project: SampleProject) -> SampleProject:
    """Finished project that is to have three solutions to each problem."""
    project.values["solutions_per_problem"] = 3
    return project


def test_further_solutions_cost_their_difference(voting: SampleProject) -> None:
    problems = sum(len(voting.rows("unique_math_problems", shard)) for shard in TEXTS)
    before = {shard: voting.rows("math_solutions", shard) for shard in TEXTS}
    versions = voting.versions()
    with voting.runner() as runner:
        plan = make_plan(Project(voting.settings), runner)
    # What other solutions are trained on is forecast as new, too.
    forecasts = {forecast.asset: forecast.calls for forecast in plan.assets}
    calls = forecasts["math_solutions"]
    assert calls is not None
    assert calls.estimate == pytest.approx(2 * problems)
    assert [run.error for run in voting.run() if run.error] == []
    assert voting.server.calls == {"math_solution": 2 * problems}
    for shard, earlier in before.items():
        rows = voting.rows("math_solutions", shard)
        # The first solution is the one of before: the model makes no mistake.
        assert rows.drop("votes", "solutions").equals(earlier.drop("votes", "solutions"))
        votes = rows.filter(solver="assistant").select("votes", "solutions").unique().rows()
        assert votes == [(3, 3)]
        assert set(rows.filter(pl.col("solver") != "assistant")["votes"]) <= {1}
        dropped = voting.storage.quarantine("math_solutions", shard)["reason"].to_list()
        assert dropped.count("assistant_agreeing") == 2 * len(rows.filter(solver="assistant"))
    changed = {name for name, version in voting.versions().items() if versions[name] != version}
    assert changed == {("math_solutions", shard) for shard in TEXTS}


def test_share_of_agreement_stands_beside_that_of_the_paper(finished: SampleProject) -> None:
    with finished.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("math_test"))
        assert event is not None
        assert event.asset_materialization is not None
        told = str(event.asset_materialization.metadata["agreement"].value)
    kept = len(finished.rows("math_test"))
    assert told.startswith("two solvers or more agree on ")
    assert told.endswith("held-out problems; in the paper on 58.0 % (57.3 to 58.7, n = 20,000)")
    assert kept > 0
