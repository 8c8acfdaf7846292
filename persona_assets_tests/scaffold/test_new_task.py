"""`new-task` writes a file that makes rows as it is, in each shape, and overwrites none."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from persona_assets.planning.trial import try_task
from persona_assets.prompting.front_matter import PromptError
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.resources.models import Models
from persona_assets.scaffold.new_task import create_task
from persona_assets_tests.conftest import in_memory
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import SampleProject

Command = Callable[..., tuple[int, str, str]]
SHAPES = {
    "letters": [],
    "retorts": ["--from", "instructions"],
    "verdicts": ["--from", "tools"],
    "quarrels": ["--personas", "2"],
    "chats": ["--turns", "2"],
    "talks": ["--personas", "2", "--turns", "3"],
    "interviews": ["--from", "instructions", "--turns", "2"],
}


@pytest.fixture(scope="module")
def made(finished: SampleProject) -> Iterator[SampleProject]:
    """Copy of the finished project; trials write journals alone."""
    with ModelServer() as server, in_memory() as root:
        yield finished.copy(Path(root) / "project", server)


@pytest.mark.parametrize("name", SHAPES)
def test_new_task_makes_rows_as_it_is(made: SampleProject, command: Command, name: str) -> None:
    code, out, err = command(made, "new-task", name, *SHAPES[name])
    assert (code, err) == (0, "")
    assert f"tasks/{name}.md: edit it, then persona-assets try {name}" in out
    project = made.project
    assert project.settings.task(name).per_shard == 20
    with closing(Models(project.settings, project.storage)) as models:
        tried = try_task(project, models, name, 2, lambda _: None).rows
    assert [row.row is not None for row in tried] == [True] * len(tried), tried
    assert tried


def test_new_task_overwrites_no_file(made: SampleProject) -> None:
    file = made.prompts / "tasks" / "tools.md"
    before = file.read_bytes()
    with pytest.raises(FileExistsError, match=r"tools\.md exists and stays as it is"):
        create_task(Prompts(made.prompts), "tools")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Two-Words"], "a task cannot be named 'Two-Words'"),
        (["x", "--from", "instruction"], "did you mean instructions"),
        (["x", "--from", "tools", "--personas", "2"], "two personas make rows from persona_hub"),
        (["x", "--turns", "1"], "turns"),
        (["persona_hub"], "the name persona_hub is taken"),
    ],
)
def test_new_task_that_the_graph_refuses_leaves_no_file(
    made: SampleProject, command: Command, arguments: list[str], message: str
) -> None:
    before = sorted(made.prompts.rglob("*"))
    code, out, err = command(made, "new-task", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert sorted(made.prompts.rglob("*")) == before


def test_new_task_is_written_into_a_folder_without_tasks(tmp_path: Path) -> None:
    path = create_task(Prompts(tmp_path), "letters")
    assert list(Prompts(tmp_path).tasks) == ["letters"]
    with pytest.raises(PromptError, match="there is no task 'tools'"):
        create_task(Prompts(tmp_path), "more", source="tools")
    assert path == tmp_path / "tasks" / "letters.md"
