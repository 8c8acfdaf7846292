"""The command line reports a user's mistake in a single sentence with exit code 1."""

import json
import re
import signal
from collections.abc import Callable

import pytest

from persona_assets.cli import main
from persona_assets_tests.model_server import ModelServer
from persona_assets_tests.sample_project import CANARY, KEY_VARIABLE, TEXTS, SampleProject

BIRDS, LETTERS = TEXTS
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in this process: exit code, output, errors."""

    def run(project: SampleProject, *arguments: str, **changes: str | None) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.chdir(project.root)
            environment = project.environment(**changes)
            for name in changes.keys() - environment.keys():
                patch.delenv(name, raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            capfd.readouterr()
            code = main(arguments)
        return (code, *capfd.readouterr())

    return run


def endpoint(project: SampleProject, **changes: object) -> str:
    return json.dumps({**project.endpoint("writer"), **changes})


UNKNOWN = {"model": "gpt-5-nano", "embedded": True}


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        ("run", {"PERSONA_HELDOUT_SHARE": "0.1"}, "unknown setting PERSONA_HELDOUT_SHARE"),
        ("run", {"PERSONA_HELD_OUT_SHARE": "2"}, "setting PERSONA_HELD_OUT_SHARE: "),
        ("run", {"PERSONA_CORPUS": "/nowhere"}, "corpus folder /nowhere does not exist"),
        ("run", {"PERSONA_PROMPTS": "/nowhere"}, "no prompts at /nowhere"),
        ("run", {"PERSONA_BENCHMARK": "/nowhere"}, "no benchmark at /nowhere"),
        ("run", {KEY_VARIABLE: None}, f"environment variable {KEY_VARIABLE} is not set"),
        ("run", {KEY_VARIABLE: "expired-0123456789"}, "does not accept the API key"),
        ("run", {"PERSONA_WRITER__BASE_URL": "http://127.0.0.1:9/v1"}, "cannot be reached"),
        ("run", {"PERSONA_WRITER": json.dumps(UNKNOWN)}, "no embedded model 'gpt-5-nano'"),
        ("run", {"PERSONA_EMBEDDER": json.dumps(UNKNOWN)}, "no embedded embedding model"),
        ("run --shards nowhere.txt", {}, "no shard 'nowhere.txt' in the corpus"),
        ("run --select key:nothing", {}, "is no asset of this project"),
        ("run --select (", {}, "--select '('"),
        ("plan --shards nowhere.txt", {}, "no shard 'nowhere.txt' in the corpus"),
        ("plan --select key:nothing", {}, "is no asset of this project"),
        ("cost --run nothing", {}, "run nothing has asked no model"),
        ("trace nothing", {}, "no catalog at"),
        ("status", {"PERSONA_PROFILE": "nothing"}, "setting PERSONA_PROFILE: "),
    ],
)
def test_mistake_is_a_single_sentence_and_makes_no_call(
    fresh: SampleProject, command: Run, arguments: str, changes: dict[str, str | None], message: str
) -> None:
    code, out, err = command(fresh, *arguments.split(), **changes)
    assert code == 1, out
    assert message in err
    assert re.fullmatch(r"persona-assets: .+\n", err), err
    assert CANARY not in out + err
    assert "expired-0123456789" not in out + err
    assert not (fresh.data / "tables").exists()
    assert fresh.server.calls == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [("role: writer", "role: poet"), ("---\n\n# System", "\n# System"), ("{{ text", "{{ % text")],
    ids=["head", "layout", "template"],
)
def test_invalid_prompt_file_is_named(
    fresh: SampleProject, command: Run, old: str, new: str
) -> None:
    fresh.edit("text_to_persona", old, new)
    code, _, err = command(fresh, "run")
    assert code == 1
    assert re.search(r"text_to_persona\.md( line 3)?: ", err), err
    assert re.fullmatch(r"persona-assets: .+\n", err), err
    assert not (fresh.data / "tables").exists()


def test_command_in_its_own_process_shows_no_traceback(fresh: SampleProject) -> None:
    with fresh.command("run", **{KEY_VARIABLE: None}) as process:
        out, err = process.communicate()
    assert process.returncode == 1
    assert re.fullmatch(r"persona-assets: .+\n", err), err
    assert "Traceback" not in out


def test_run_of_a_finished_project_makes_no_call(project: SampleProject, command: Run) -> None:
    assert command(project, "status") == (0, "everything is fresh\n", "")
    assert command(project, "catalog")[0] == 0
    code, out, err = command(project, "run")
    assert (code, err) == (0, "")
    assert "0 runs" in out
    assert project.server.calls == {}


def test_trace_shows_the_ancestors_of_a_row_from_the_catalog(
    project: SampleProject, command: Run
) -> None:
    code, out, err = command(project, "catalog")
    assert (code, err) == (0, "")
    assert out.startswith(f"{len(project.versions())} tables in ")

    persona = project.rows("persona_hub", LETTERS)["persona_id"][0]
    code, out, err = command(project, "trace", persona)
    assert (code, err) == (0, "")
    assert "raw_corpus" in out
    assert TEXTS[LETTERS][0][:60] in out
    code, _, err = command(project, "trace", "nothing")
    assert (code, err.count("\n")) == (1, 1)
    assert "no row nothing in the tables" in err


def test_status_names_stale_tables_and_changes_nothing(
    project: SampleProject, command: Run
) -> None:
    (project.corpus / LETTERS).write_text("Another letter.")
    before = project.versions()
    code, out, _ = command(project, "status")
    assert code == 0
    assert f"raw_corpus {LETTERS}: corpus file changed" in out
    assert BIRDS not in out
    assert project.versions() == before


def test_failed_run_is_reported_and_its_calls_are_counted(
    project: SampleProject, command: Run
) -> None:
    project.values["writer"]["concurrency"] = 1
    project.edit("text_to_persona", "# User\n", "Be brief.\n\n# User\n")
    project.server.meets = lambda prompt, message: "402" if "storks" in message else None
    code, out, err = command(project, "run", "--select", "key:text_personas")
    assert (code, err) == (1, "")
    assert " ".join(out.split()).count("has no quota left") == 1
    # The run after the refusal probes again.
    assert "of which this run made 3; 2 runs" in " ".join(out.split())
    assert len(project.server.probes) == 1
    assert "Traceback" not in out
    assert CANARY not in out


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_interrupt_ends_the_whole_run_and_keeps_paid_responses(
    fresh: SampleProject, number: signal.Signals, code: int
) -> None:
    with ModelServer(latency=0.1) as server:
        project = SampleProject(fresh.root, server)
        selected = "key:raw_corpus or key:text_personas"
        with project.command("run", "--select", selected) as process:
            server.wait_for(1)
            process.send_signal(number)
            out, err = process.communicate()
    assert process.returncode == code, out
    assert err.splitlines()[-1].startswith("persona-assets: interrupted")
    assert "Traceback" not in out + err
    assert ("raw_corpus", LETTERS) not in project.versions()
    # Calls in flight are paid for: their responses arrived and are stored.
    stored = {record.key for record in project.journaled()}
    assert stored == {key for _, key in server.keys}


def test_command_restores_signal_handlers(fresh: SampleProject, command: Run) -> None:
    def handler(number: int, frame: object) -> None:
        pass

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        assert command(fresh, "run", "--select", "key:raw_corpus")[0] == 0
        assert signal.getsignal(signal.SIGINT) is signal.getsignal(signal.SIGTERM) is handler
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def test_run_in_a_pipe_starts_with_the_largest_number_of_calls(
    fresh: SampleProject, command: Run
) -> None:
    code, out, err = command(fresh, "run", "--select", "+key:hop_1_personas")
    assert (code, err) == (0, "")
    assert out.startswith(
        "2 shards: the settings set no limit on the model calls of text_personas (persona-assets "
        "plan forecasts them); 1 probe call first, one for each endpoint, model and shape: of "
        "unknown price\n"
    )
    assert "\x1b" not in out
    # Four texts and two personas: a call each, a longer call if cut off, and two re-asks.
    values = json.dumps({"text_to_persona": {"mode": "zero-shot"}})
    limits = {"PERSONA_TEXTS_PER_SHARD": "2", "PERSONA_PROMPTING": values}
    code, out, err = command(fresh, "run", "--select", "+key:hop_1_personas", **limits)
    assert (code, err) == (0, "")
    assert out.startswith("2 shards: at most 24 model calls, less those answered before\n"), (
        out.splitlines()[0]
    )


OTHER_KEY = "OTHER_MODEL_KEY"


@pytest.mark.parametrize(
    ("role", "select", "changes", "is_needed"),
    [
        ("judge", "key:text_personas", {}, False),
        ("judge", "key:math_test", {"PERSONA_EQUALITY": "judge"}, True),
        ("judge", "key:math_test", {"PERSONA_EQUALITY": "math_verify"}, False),
        ("solver", "key:text_personas", {}, False),
        ("solver", "key:math_solutions", {}, True),
        ("embedder", "key:text_personas", {}, False),
        ("embedder", "key:persona_embeddings", {}, True),
        ("writer", "key:persona_embeddings", {}, False),
        ("writer", "key:raw_corpus", {}, False),
        ("writer", "key:lexical_duplicates or key:lexical_survivors", {}, False),
        ("writer", "+key:persona_hub", {}, True),
    ],
)
def test_run_checks_only_the_roles_of_the_selected_assets(
    project: SampleProject,
    command: Run,
    role: str,
    select: str,
    changes: dict[str, str],
    is_needed: bool,
) -> None:
    for table in sorted((project.data / "tables").rglob("*.parquet")):
        table.unlink()
    endpoint = json.dumps({**project.values[role], "api_key_env": OTHER_KEY})
    changes = {f"PERSONA_{role.upper()}": endpoint, **changes}
    code, out, err = command(project, "run", "--select", select, **changes)
    assert (f"environment variable {OTHER_KEY} is not set" in err) == is_needed
    assert OTHER_KEY not in out
    assert code == 1 if is_needed else "persona-assets:" not in err
