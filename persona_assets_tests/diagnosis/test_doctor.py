"""`doctor` finds no fault in a whole project, names each fault with its remedy, changes nothing."""

import fcntl
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from persona_assets.diagnosis.program import hiding_files
from persona_assets.local_models.command_server import free_port
from persona_assets.storage.locks import LocksIgnored, file_system, is_shared, require_locks
from persona_assets_tests.sample_project import SampleProject

Command = Callable[..., tuple[int, str, str]]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a project, except Dagster's own, which change whenever they are read."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p): p.read_bytes() for p in files if "dagster_home" not in p.parts}


def test_whole_project_has_no_fault_and_is_not_changed(
    command: Command, project: SampleProject
) -> None:
    project.catalog.rebuild()
    before, asked = contents(project.data), sum(project.server.calls.values())
    code, out, _ = command(project, "doctor")
    assert code == 0, out
    assert "FAULT" not in out
    for subject in ("packages", "modules", "settings", "corpus", "disk", "locks", "tables"):
        assert f"ok     {subject}: " in out
    assert "catalog: equal to" in out
    assert "role writer: " in out
    assert "index of paid keys: " in out
    assert contents(project.data) == before
    assert sum(project.server.calls.values()) == asked


def test_each_fault_has_its_remedy(command: Command, project: SampleProject) -> None:
    project.catalog.rebuild()
    storage = project.storage
    shard = next(iter(storage.shards("text_personas")))
    storage.path("text_personas", shard, "quarantine").unlink()
    storage.path("persona_candidates", shard).write_bytes(b"no Parquet")
    storage.completions("text_personas", shard).write_bytes(b"no Parquet")
    journal = storage.journal("hop_1_personas", shard)
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_bytes(b'{"a line": "that is no record"}\n')
    storage.withdrawn.write_text('{"event": "gone"}\n')
    (project.root / "random.py").write_text("")
    code, out, _ = command(project, "doctor")
    assert code == 1
    for part in (
        "random.py hides the module random",
        "has no quarantine beside it",
        "is damaged",
        "catalog: it differs from the tables on disk: persona_candidates",
        "-> persona-assets catalog",
        "line 1 is not a record",
        "withdrawn.jsonl, line 1 is damaged",
        f"{storage.completions('text_personas', shard)}",
    ):
        assert part in out


def test_settings_and_endpoints_are_judged_before_the_data(
    command: Command, project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.values["writer"] = project.values["writer"] | {"base_url": "http://127.0.0.1:9/v1"}
    project.values["solver"] = project.values["solver"] | {"model": "solvr"}
    code, out, _ = command(project, "doctor")
    assert code == 1
    assert "FAULT  role writer: " in out
    assert "cannot be reached" in out
    assert "role judge: judge at 127.0.0.1" in out
    assert "the endpoint does not list that model" in out
    monkeypatch.chdir(project.root)
    project.edit("tasks/tools", "output:", "outptu:")
    code, out, _ = command(project, "doctor")
    assert code == 1
    assert "FAULT  settings: " in out
    assert "disk" not in out


def test_files_of_the_working_folder_that_hide_modules(tmp_path: Path) -> None:
    (tmp_path / "dagster").mkdir()
    (tmp_path / "letters").mkdir()
    (tmp_path / "notes.py").touch()
    assert list(hiding_files(tmp_path)) == []
    (tmp_path / "dagster" / "__init__.py").touch()
    (tmp_path / "json.py").touch()
    assert [module for _, module in hiding_files(tmp_path)] == ["dagster", "json"]


@pytest.mark.parametrize("hidden", [False, True])
def test_ui_ends_at_once_where_it_cannot_start(
    command: Command, project: SampleProject, *, hidden: bool
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        if hidden:
            (project.root / "dagster").mkdir()
            (project.root / "dagster" / "__init__.py").touch()
            port = free_port()
        code, _, error = command(project, "ui", "--port", str(port))
    assert code == 1
    assert ("hides the module dagster" if hidden else f"port {port} of 127.0.0.1") in error


def test_nothing_is_asked_where_locks_exclude_nobody(
    fresh: SampleProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require_locks(tmp_path)
    # A file system that grants every lock, as some network file systems do.
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)
    with pytest.raises(LocksIgnored, match="grants a lock that another handle holds"):
        require_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []
    [*_, failed] = fresh.run("key:raw_corpus or key:text_personas")
    assert "does not keep two writers apart" in str(failed.error)
    assert not fresh.server.calls


def test_types_of_file_systems() -> None:
    assert file_system(Path("/proc/self")) == "proc"
    assert file_system(Path("/nowhere/at/all")) == file_system(Path("/"))
    assert [is_shared(kind) for kind in ("nfs4", "fuse.sshfs", "cifs", "ext4", "tmpfs")] == [
        True,
        True,
        True,
        False,
        False,
    ]
