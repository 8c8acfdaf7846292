"""What a SIGKILL of `persona-assets run` costs: calls in flight, and no row."""

import random
import signal

import dagster as dg
import polars as pl

from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject

SELECT = "+key:semantic_duplicates"
KILLS = 3


def test_a_killed_run_goes_on_where_it_was(finished: SampleProject, fresh: SampleProject) -> None:
    with finished.runner(SELECT) as runner:
        assets = [asset.name for phase in runner.phases() for asset in phase.assets]
    whole = {table: it for table, it in finished.versions().items() if table[0] in assets}
    usage = finished.catalog.usage().filter(pl.col("asset").is_in(assets))
    calls = int(usage["calls"].sum())

    with ModelServer(latency=0.03) as server:
        project = SampleProject(fresh.root, server)
        points = sorted(random.Random().sample(range(1, calls - 2), KILLS))
        paid_before = set[str]()
        for point in points:
            asked = len(server.keys)
            with project.command("run", "--select", SELECT) as process:
                server.wait_for(max(point, asked))
                process.send_signal(signal.SIGKILL)
                process.communicate()
            # Nothing that was on disk before this process started was asked again by it.
            assert paid_before.isdisjoint(key for _, key in server.keys[asked:])
            paid_before = {record.key for record in project.journaled()}
        asked = len(server.keys)
        with project.command("run", "--select", SELECT) as process:
            out, err = process.communicate()
        assert (process.returncode, err) == (0, ""), out
        assert paid_before.isdisjoint(key for _, key in server.keys[asked:])

    assert project.versions() == whole
    assert {record.key for record in project.journaled()} == {key for _, key in server.keys}
    in_flight = KILLS * project.values["writer"]["concurrency"]
    assert calls <= server.calls.total() <= calls + in_flight
    with project.instance() as instance:
        states = {run.status for run in instance.get_runs()}
    assert states <= {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
    assert list((project.data / "tables").rglob("*.parquet")) != []
