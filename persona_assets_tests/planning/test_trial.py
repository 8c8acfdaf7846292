"""A trial buys the first rows of a task, which the run of the task does not buy again."""

from collections.abc import Callable

import pytest

from persona_assets.planning.trial import TrialError, try_task
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets_tests.sample_project import SampleProject

TASK = "instructions"


@pytest.fixture
def hub(fresh: SampleProject) -> SampleProject:
    """Project with a hub and no datasets."""
    fresh.values["tasks"] = {}
    assert [run.error for run in fresh.run("+key:persona_hub") if run.error] == []
    return fresh


def test_trial_rows_are_the_first_rows_of_the_run(
    hub: SampleProject, command: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = command(hub, "try", TASK, "-n", "3")
    assert (code, err) == (0, ""), out
    assert hub.server.calls[TASK] == 3
    assert "3 rows, 3 kept, 0 dropped; 3 calls, 0 replayed, 1 probe call," in out
    assert out.count("    system: ") == out.count("    user: ") == 3
    code, out, _ = command(hub, "try", TASK, "-n", "3")
    assert hub.server.calls[TASK] == 3
    assert "0 calls, 3 replayed, 0 probe calls" in out
    before = hub.server.calls[TASK]
    assert [run.error for run in hub.run(f"key:{TASK}") if run.error] == []
    rows = sum(len(hub.rows(TASK, shard)) for shard in hub.storage.shards(TASK))
    assert hub.server.calls[TASK] - before == rows - 3
    sample = next(line for line in out.splitlines() if "sample_id: " in line).split(": ")[1]
    assert sample in {row for shard in hub.storage.shards(TASK) for row in ids(hub, shard)}


def ids(project: SampleProject, shard: str) -> list[str]:
    return project.rows(TASK, shard)["sample_id"].to_list()


def test_trial_goes_on_in_the_next_shard(hub: SampleProject) -> None:
    project = Project(hub.settings)
    first, *_ = project.storage.shards("persona_hub")
    personas = len(hub.rows("persona_hub", first))
    models = Models(hub.settings, project.storage)
    trial = try_task(project, models, TASK, personas + 1, lambda _: None)
    assert len(trial.rows) == personas + 1
    assert len({row.shard for row in trial.rows}) == 2
    assert all((row.row is None) == bool(row.reason) for row in trial.rows)


def test_trial_of_a_judged_task_shows_the_judgement(hub: SampleProject) -> None:
    hub.values["tasks"] = {TASK: {"judge": 1.0}}
    project = Project(hub.settings)
    trial = try_task(project, Models(hub.settings, project.storage), TASK, 6, lambda _: None)
    assert hub.server.calls[f"{TASK}_rubric"] == len(trial.rows) == 6
    judged = [row.row["judgement"]["actionable"] for row in trial.rows if row.row]
    assert set(judged) == {5}
    assert [run.error for run in hub.run(f"+key:judged_{TASK}") if run.error] == []
    samples = sum(len(hub.rows(TASK, shard)) for shard in hub.storage.shards(TASK))
    assert hub.server.calls[f"{TASK}_rubric"] == samples


def test_trial_without_a_hub_or_a_task_says_what_to_do(fresh: SampleProject) -> None:
    project = Project(fresh.settings)
    models = Models(fresh.settings, project.storage)
    with pytest.raises(TrialError, match=r"'\+key:persona_hub'"):
        try_task(project, models, TASK, 1, lambda _: None)
    with pytest.raises(TrialError, match="did you mean instructions"):
        try_task(project, models, "instruction", 1, lambda _: None)
