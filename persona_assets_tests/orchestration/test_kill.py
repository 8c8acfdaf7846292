"""A SIGKILL of `persona-assets run` costs the calls in flight, and no row."""

import random
import signal

import dagster as dg
import polars as pl

from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject

SELECT = "+key:semantic_duplicates"
KILLS = 3


def test_killed_run_resumes_without_repeating_a_stored_call(
    finished: SampleProject, fresh: SampleProject
) -> None:
    with finished.runner(SELECT) as runner:
        assets = [asset.name for phase in runner.phases() for asset in phase.assets]
    expected = {table: v for table, v in finished.versions().items() if table[0] in assets}
    usage = finished.catalog.usage().filter(pl.col("asset").is_in(assets))
    calls = int(usage["calls"].sum())

    with ModelServer(latency=0.03) as server:
        project = SampleProject(fresh.root, server)
        points = sorted(random.Random().sample(range(1, calls - 2), KILLS))
        stored = set[str]()
        for point in points:
            calls_before = len(server.keys)
            with project.command("run", "--select", SELECT) as process:
                server.wait_for(max(point, calls_before))
                process.send_signal(signal.SIGKILL)
                process.communicate()
            # No call that was on disk at the start of the process was repeated.
            assert stored.isdisjoint(key for _, key in server.keys[calls_before:])
            stored = {record.key for record in project.journaled()}
        calls_before = len(server.keys)
        with project.command("run", "--select", SELECT) as process:
            out, err = process.communicate()
        assert (process.returncode, err) == (0, ""), out
        assert stored.isdisjoint(key for _, key in server.keys[calls_before:])

    assert project.versions() == expected
    assert {record.key for record in project.journaled()} == {key for _, key in server.keys}
    in_flight = KILLS * project.values["writer"]["concurrency"]
    assert calls <= server.calls.total() <= calls + in_flight
    with project.instance() as instance:
        statuses = {run.status for run in instance.get_runs()}
    assert statuses <= {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
    assert list((project.data / "tables").rglob("*.parquet")) != []
