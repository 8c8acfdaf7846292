"""`run --retry OUTCOME` asks dropped rows again, is told before, and keeps the answers."""

import json
from collections.abc import Callable

import pytest

from persona_assets.prompting.run_prompt import RETRIED, outcome_of
from persona_assets_tests.sample_project import SampleProject

Command = Callable[..., tuple[int, str, str]]
BIRDS = "forum/birds.jsonl"
TEXT_PERSONAS = "key:text_personas"


def forecast(command: Command, project: SampleProject, *arguments: str) -> dict[str, float]:
    """Return the calls that `plan` forecasts, by asset."""
    code, out, error = command(
        project, "plan", "--json", "--select", TEXT_PERSONAS, "--shards", BIRDS, *arguments
    )
    assert code == 0, error
    return {
        each["asset"]: round(each["calls"]["estimate"], 9) for each in json.loads(out)["assets"]
    }


def test_refused_rows_are_asked_again_once_on_demand(
    command: Command, project: SampleProject
) -> None:
    assert project.storage.footer("text_personas", BIRDS).dropped == {"refused": 1}  # type: ignore[union-attr]
    before = project.rows("text_personas", BIRDS)
    project.server.meets = lambda prompt, message: "ok" if "refuse this" in message else None
    run = ("run", "--select", TEXT_PERSONAS, "--shards", BIRDS)

    assert command(project, *run, "--retry", "truncated", "filtered")[0] == 0
    assert project.server.calls.total() == 0
    assert forecast(command, project) == {}
    assert forecast(command, project, "--retry", "refused") == {"text_personas": 1}

    assert command(project, *run, "--retry", "refused")[0] == 0
    assert project.server.calls == {"text_to_persona": 1}
    after = project.rows("text_personas", BIRDS)
    assert len(after) == len(before) + 1
    assert set(before["persona_id"]) < set(after["persona_id"])
    assert project.storage.footer("text_personas", BIRDS).dropped == {}  # type: ignore[union-attr]

    assert command(project, *run, "--retry", "refused")[0] == 0
    project.storage.path("text_personas", BIRDS).unlink()
    assert command(project, *run)[0] == 0
    assert project.server.calls.total() == 1
    assert project.rows("text_personas", BIRDS).equals(after)


def test_table_that_dropped_nothing_yet_is_asked_as_always(
    command: Command, project: SampleProject
) -> None:
    project.write("new.jsonl", ["Please refuse this text about terns."])
    made = "key:raw_corpus or key:text_personas"
    run = ("run", "--select", made, "--shards", "new.jsonl", "--retry", "refused")
    assert command(project, *run)[0] == 0
    assert project.server.calls == {"text_to_persona": 1}
    assert command(project, *run)[0] == 0
    assert project.server.calls == {"text_to_persona": 2}


def test_outcome_that_no_call_has_is_refused(
    command: Command, project: SampleProject, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(project, "run", "--retry", "lexical_duplicate")
    assert "invalid choice: 'lexical_duplicate'" in capfd.readouterr().err


@pytest.mark.parametrize("outcome", RETRIED)
def test_outcome_in_a_reason(outcome: str) -> None:
    for reason in (outcome, f"turn_2_{outcome}", f"{outcome}: a detail", f"{outcome}:detail"):
        assert outcome_of(reason) == outcome
    assert outcome_of("refusal") == "refusal"
