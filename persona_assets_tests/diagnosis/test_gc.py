"""`gc` lists what nothing reads, removes it on demand, and never touches what was paid for."""

import os
import shutil
from collections.abc import Callable

from persona_assets.diagnosis.leftovers import DAY
from persona_assets_tests.sample_project import SampleProject

Command = Callable[..., tuple[int, str, str]]


def test_leftovers_are_listed_and_then_removed(command: Command, project: SampleProject) -> None:
    models = project.data / "models" / "fine_tuned_model"
    named = next(models.glob("*/model.gguf")).parent
    unnamed = models / "0123456789abcdef"
    shutil.copytree(named, unnamed)
    (unnamed / "manifest.json").write_text("{}")
    (named / "manifest.json").write_text("{}")
    old, new = (project.data / "tables" / f".{name}.parquet.1.tmp" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"x" * 1000)
    alone = models / ".9f2c.old"
    alone.mkdir()
    for path in (old, alone):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 2 * DAY))
    (project.prompts / "tasks" / "tools.md").unlink()
    del project.values["tasks"]["tools"]
    paid = {path: path.read_bytes() for path in (project.data / "completions").rglob("*.parquet")}

    code, out, _ = command(project, "gc")
    assert code == 0
    assert "0123456789abcdef" in out
    assert ".old.parquet.1.tmp" in out
    assert ".new.parquet" not in out
    assert named.name not in out
    assert "tables/tools" not in out
    assert "2 leftovers, " in out
    assert unnamed.exists()

    code, out, _ = command(project, "gc", "--yes", "--orphans")
    assert code == 0
    assert "tables/tools" in out
    assert [path.exists() for path in (unnamed, old, new, named)] == [False, False, True, True]
    assert alone.exists()
    assert not (project.data / "tables" / "tools").exists()
    assert "tools" not in project.catalog.query("SELECT asset FROM materializations")["asset"]
    assert paid
    assert {path: path.read_bytes() for path in paid} == paid
    assert command(project, "gc", "--orphans")[1].startswith("0 leftovers")


def test_nothing_is_removed_during_a_run(command: Command, project: SampleProject) -> None:
    """The table of a model that was just trained is yet to be written."""
    trained = project.data / "models" / "fine_tuned_model" / "0123456789abcdef"
    trained.mkdir()
    (trained / "manifest.json").write_text("{}")
    with project.instance() as instance:
        run = instance.create_run_for_job(project.defs.resolve_implicit_global_asset_job_def())
    code, _, error = command(project, "gc", "--yes")
    assert (code, run.run_id in error, "wait for its end" in error) == (1, True, True)
    assert trained.exists()
