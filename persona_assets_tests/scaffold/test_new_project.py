"""`persona-assets init`: a project that runs as it is, written whole or not at all."""

import os
import re
import resource
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from persona_assets.cli import main
from persona_assets.scaffold.new_project import create_project

ROOT = Path(__file__).parents[2]


def contents(folder: Path) -> Mapping[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def run_command(
    folder: Path, *arguments: str, path: Path = ROOT, largest_file: int = resource.RLIM_INFINITY
) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, with the package of the folder `path`."""

    def limit_files() -> None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))

    kept = {key: value for key, value in os.environ.items() if not key.startswith("PERSONA_")}
    return subprocess.run(
        [sys.executable, "-m", "persona_assets.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=kept | {"PYTHONPATH": str(path)},
        preexec_fn=limit_files,
        check=False,
    )


def test_project_holds_prompts_corpus_benchmark_and_settings(tmp_path: Path) -> None:
    written = create_project(tmp_path / "a" / "project")
    files = contents(tmp_path / "a" / "project")
    assert [str(path.relative_to(tmp_path / "a" / "project")) for path in written] == sorted(files)
    for name in ("prompts/text_to_persona.md", "data/corpus/everyday.jsonl", "workspace.yaml"):
        assert files[name] == (ROOT / name).read_bytes()
    for folder in ("prompts", "data/corpus", "data/benchmarks"):
        shipped = {f"{folder}/{name}" for name in contents(ROOT / folder)}
        assert shipped == {name for name in files if name.startswith(f"{folder}/")}
    assert {".env", ".gitignore", "README.md"} < set(files)


@pytest.mark.parametrize("profile", ["current", "paper", "demo"])
def test_settings_file_names_the_profile(profile: str, tmp_path: Path) -> None:
    create_project(tmp_path, profile)
    lines = (tmp_path / ".env").read_text("utf-8").splitlines()
    active = [line for line in lines if line and not line.startswith("#")]
    assert active[:2] == [f"PERSONA_PROFILE={profile}", "PERSONA_DATA_DIR=data/project"]
    example = (ROOT / ".env.example").read_text("utf-8").splitlines()
    named = [line.replace("PROFILE=current", f"PROFILE={profile}") for line in example]
    assert lines == named


def test_commands_of_the_readme_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create_project(tmp_path)
    commands = re.findall(r"^    persona-assets (\w+)", (tmp_path / "README.md").read_text(), re.M)
    assert commands == ["status", "plan", "run", "ui"]
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("existing", "named"),
    [
        ("README.md", "README.md"),
        ("prompts/tasks/tools.md", "prompts/tasks/tools.md"),
        ("data", "data"),
        (".env", ".env"),
    ],
)
def test_existing_file_is_named_and_nothing_is_written(
    tmp_path: Path, existing: str, named: str
) -> None:
    path = tmp_path / existing
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    done = run_command(tmp_path, "init", ".")
    assert done.returncode == 1
    assert re.fullmatch(
        rf"persona-assets: {re.escape(named)} .+ Nothing was written\.\n", done.stderr
    )
    assert contents(tmp_path) == {existing: b"mine"}


def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    mine = tmp_path / "prompts" / "tasks" / "mine.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    create_project(tmp_path)
    assert mine.read_text() == "mine"
    assert (tmp_path / "prompts" / "tasks" / "tools.md").exists()


def test_failure_while_writing_leaves_nothing(tmp_path: Path) -> None:
    done = run_command(tmp_path, "init", "a/project", largest_file=5_000)
    assert done.returncode == 1
    assert done.stderr == "persona-assets: [Errno 27] File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_dangling_link_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match=r"workspace\.yaml exists"):
        create_project(tmp_path)
    assert contents(tmp_path) == {}


def test_project_of_an_editable_install_runs(tmp_path: Path) -> None:
    assert run_command(tmp_path, "init", "project").returncode == 0
    project = tmp_path / "project"
    status = run_command(project, "status")
    assert (status.returncode, status.stderr) == (0, "")
    assert "raw_corpus everyday.jsonl: missing" in status.stdout
    done = run_command(project, "run", "--select", "key:raw_corpus")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(
        path.name for path in (project / "data" / "project" / "tables").rglob("*.parquet")
    )
    assert run_command(project, "init", ".").returncode == 1


def test_wheel_contains_the_project_and_its_types(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    assert (installed / "persona_assets" / "py.typed").exists()
    done = run_command(tmp_path, "init", "project", path=installed)
    assert (done.returncode, done.stderr) == (0, "")
    create_project(tmp_path / "editable")
    assert contents(tmp_path / "project") == contents(tmp_path / "editable")
    status = run_command(tmp_path / "project", "status", path=installed)
    assert (status.returncode, status.stderr) == (0, "")
