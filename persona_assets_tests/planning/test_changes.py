"""After each kind of change the forecast has the calls that are bought, and after its undo none."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from persona_assets.planning.plan import Plan, make_plan
from persona_assets.project import Project
from persona_assets_tests.conftest import in_memory
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import TEXTS, SampleProject

BIRDS, LETTERS = TEXTS
MADE, TOOLS, SOLVED = "text_personas", "tools", "math_solutions"
EMBEDDED, MEASURED = "persona_embeddings", "math_accuracy"
SIZE = "1"


@dataclass(frozen=True)
class Change:
    """Change of a finished project.

    Attributes:
        asset: Asset that is run.
        make: Makes the change.
        calls: Number of calls that it costs.
        has_pilot: False if nothing is known about the answers, so that a bound alone is told.
    """

    asset: str
    make: Callable[[SampleProject], object]
    calls: int
    has_pilot: bool = True


def role(name: str, **members: object) -> Callable[[SampleProject], object]:
    return lambda project: project.values[name].update(members)


def sampling(name: str, **members: object) -> Callable[[SampleProject], object]:
    return role(name, sampling=members)


def values(**members: object) -> Callable[[SampleProject], object]:
    return lambda project: project.values.update(members)


def task(name: str, **members: object) -> Callable[[SampleProject], object]:
    return lambda project: project.values["tasks"].setdefault(name, {}).update(members)


def prompting(name: str, **members: object) -> Callable[[SampleProject], object]:
    return lambda project: project.values["prompting"].update({name: members})


def edit(prompt: str, old: str, new: str) -> Callable[[SampleProject], object]:
    return lambda project: project.edit(prompt, old, new)


CHANGES = {
    "temperature": Change(MADE, sampling("writer", temperature=0.3), 1),
    "seed": Change(MADE, sampling("writer", seed=7), 1),
    "max_tokens": Change(MADE, sampling("writer", max_tokens=99), 1),
    "extra parameter": Change(MADE, sampling("writer", top_k=4), 1),
    "sampling of the file": Change(MADE, edit("text_to_persona", "0.7", "0.6"), 1),
    "model": Change(MADE, role("writer", model="another"), 1, has_pilot=False),
    "address": Change(MADE, role("writer", base_url="http://127.0.0.1:9/v1"), 0),
    "repeats": Change(MADE, role("writer", larger_retry=3.0, reasks=0), 0),
    "words": Change(MADE, edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n"), 1),
    "description": Change(
        MADE, edit("text_to_persona", "description: Who is", "description: Who may be"), 0
    ),
    "comment": Change(MADE, edit("text_to_persona", "# User\n", "{# a note #}\n\n# User\n"), 0),
    "schema": Change(MADE, edit("text_to_persona", "max_length: 300", "max_length: 301"), 1),
    "variable": Change(MADE, prompting("text_to_persona", variables={"language": "French"}), 1),
    "perspectives": Change(MADE, values(perspectives=["reads", "writes"]), 1),
    "demonstrations": Change(TOOLS, task(TOOLS, mode="few-shot", shots=1), 2),
    "samples": Change(TOOLS, task(TOOLS, per_persona=3), 1),
    "limit": Change(TOOLS, task(TOOLS, per_shard=2), 2),
    "solver": Change(SOLVED, sampling("second_solver", temperature=0.4), 2),
    "votes": Change(SOLVED, values(solutions_per_problem=2), 4),
    "vectors": Change(EMBEDDED, values(embedding_dimensions=8), 1),
    "evaluation": Change(MEASURED, sampling("evaluation", temperature=0.4), 3),
    "replies": Change(MEASURED, sampling("evaluation", max_tokens=99), 3),
    "problems": Change(MEASURED, values(benchmark_limit=2), 0),
}
"""Change by name: of a sampling, a prompt, an endpoint, a setting."""


@pytest.fixture(scope="module")
def edited(finished: SampleProject) -> Iterator[SampleProject]:
    """Copy of the finished project that all changes are made in, one after the other.

    A judge of answers would be asked about some of the answers, which are not known before.
    """
    with ModelServer() as server, in_memory() as folder:
        sample = finished.copy(Path(folder) / "edited", server)
        sample.values["equality"] = "math_verify"
        yield sample


def plan_of(project: SampleProject, asset: str) -> Plan:
    with project.runner(f"key:{asset}", *chosen(asset)) as runner:
        return make_plan(Project(project.settings), runner)


def chosen(asset: str) -> tuple[list[str], list[str]]:
    """Return the shard and the size that an asset is run for."""
    return ([], [SIZE]) if asset == MEASURED else ([LETTERS], [])


@contextmanager
def undone(project: SampleProject) -> Iterator[None]:
    """Undo all changes of settings and prompts on exit."""
    values, prompts = deepcopy(project.values), project.root / "prompts.before"
    shutil.copytree(project.prompts, prompts)
    try:
        yield
    finally:
        project.values = values
        shutil.rmtree(project.prompts)
        prompts.rename(project.prompts)


@pytest.mark.parametrize("name", CHANGES)
def test_forecast_of_a_change_has_the_calls_that_are_bought(
    edited: SampleProject, name: str
) -> None:
    change, asked = CHANGES[name], edited.server.calls.total()
    with undone(edited):
        change.make(edited)
        plan = plan_of(edited, change.asset)
        runs = edited.run(f"key:{change.asset}", *chosen(change.asset))
    assert not any(run.error for run in runs)
    bought = edited.server.calls.total() - asked
    assert bought == change.calls
    if bought:
        [told] = plan.assets
        assert told.most is not None
        assert bought <= told.most
        assert (told.calls is not None) == change.has_pilot
        assert told.calls is None or told.calls.estimate == pytest.approx(bought)
    else:
        assert plan.assets == ()
    assert plan_of(edited, change.asset).assets == ()


def test_undone_changes_buy_nothing(edited: SampleProject) -> None:
    asked = edited.server.calls.total()
    for asset in dict.fromkeys(change.asset for change in CHANGES.values()):
        assert not any(run.error for run in edited.run(f"key:{asset}", *chosen(asset)))
    assert edited.server.calls.total() == asked
