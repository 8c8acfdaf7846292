"""Settings come from profile, environment and arguments; a mistake is a sentence, no secrets."""

import os
from fractions import Fraction
from typing import Any

import pytest

from persona_assets.dedup.lexical.lexical_join import JACCARD_THRESHOLD
from persona_assets.dedup.lexical.minhash import SIZE
from persona_assets.settings import ROLES, Settings, SettingsError
from persona_assets.steps.hop_budget import HOPS
from persona_assets_tests.steps.answers_double import ROOT

SECRET = "sk-3f1c0ffee"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("PERSONA_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("profile", ["paper", "current", "demo"])
def test_profile_sets_a_model_for_every_role(profile: str) -> None:
    settings = Settings.load(profile=profile)
    assert settings.profile == profile
    assert all(settings.endpoint(role).model for role in ROLES)


def test_paper_profile_holds_the_constants_of_the_paper() -> None:
    paper = Settings.load()
    assert paper.profile == "paper"
    # Section 2.
    assert paper.perspectives == ("reads", "writes", "likes", "dislikes")
    assert HOPS == 6
    assert (128, Fraction(9, 10)) == (SIZE, JACCARD_THRESHOLD)
    assert paper.lexical_threshold == Fraction(9, 10)
    assert paper.semantic_threshold == 0.9
    assert paper.embedder.model == "text-embedding-3-small"
    # Section 3: zero-shot, the whole hub, one problem for each persona.
    assert (paper.tasks, paper.prompting) == ({}, {})
    task = paper.task("math_problems")
    assert (task.mode, task.share, task.per_shard, task.per_persona) == ("zero-shot", 1, None, 1)
    # Section 4.1.2.
    models = {role: paper.endpoint(role).model for role in ROLES}
    assert models["writer"] == "gpt-4"
    assert models["solver"] == "gpt-4o"
    assert models["second_solver"] == "gpt-4-turbo"
    assert models["judge"] == "gpt-4-turbo-preview"
    assert paper.evaluation.sampling == {"temperature": 0.0}
    assert round(paper.held_out_share * 1_090_000) == 20_000
    assert paper.equality == "judge"
    assert paper.training.base_model == "Qwen/Qwen2-7B"
    # Figures 9 and 10.
    assert paper.training_sizes == tuple(2**power for power in range(16, 21))
    assert paper.pair_similarities == (0.4, 0.6, 0.8)
    assert (paper.pair_tolerance, paper.pairs_per_bucket) == (0.01, 100)
    assert paper.embedding_dimensions == 512


def test_argument_overrides_environment_overrides_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Settings.load(profile="demo").text_chars == 1_200
    monkeypatch.setenv("PERSONA_PROFILE", "demo")
    monkeypatch.setenv("PERSONA_TEXT_CHARS", "500")
    assert Settings.load().text_chars == 500
    assert Settings.load().texts_per_shard == 8
    assert Settings.load(text_chars=600).text_chars == 600
    assert Settings.load(profile="paper").texts_per_shard is None


def test_nested_variable_changes_a_single_member(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Settings.load(profile="demo")
    monkeypatch.setenv("PERSONA_PROFILE", "demo")
    monkeypatch.setenv("PERSONA_WRITER__TIMEOUT", "7")
    monkeypatch.setenv("PERSONA_WRITER__SAMPLING__TEMPERATURE", "0.1")
    monkeypatch.setenv("PERSONA_WRITER__SAMPLING__STOP", "###")
    monkeypatch.setenv("PERSONA_TRAINING__HYPER__EPOCHS", "1")
    monkeypatch.setenv("PERSONA_TASKS__math_problems__SHARE", "0.25")
    after = Settings.load()
    assert after.writer.timeout == 7
    assert after.writer.sampling == before.writer.sampling | {"temperature": 0.1, "stop": "###"}
    assert after.writer.model == before.writer.model
    assert after.training.hyper == before.training.hyper.model_copy(update={"epochs": 1})
    task = before.task("math_problems").model_copy(update={"share": 0.25})
    assert after.task("math_problems") == task
    assert after.task("tools") == before.task("tools")


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("TRAINING_SIZES", "[8, 16]", (8, 16)),
        ("PERSPECTIVES", '["reads"]', ("reads",)),
        ("CORPUS_FIELDS", '{"text": "body"}', {"text": "body"}),
        ("LEXICAL_THRESHOLD", "0.85", Fraction(17, 20)),
        ("LEXICAL_THRESHOLD", "2/3", Fraction(2, 3)),
        ("TEXTS_PER_SHARD", "null", None),
        ("BENCHMARK_LIMIT", "null", None),
    ],
)
def test_variable_is_parsed_as_the_type_of_its_setting(
    variable: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONA_PROFILE", "demo")
    monkeypatch.setenv(f"PERSONA_{variable}", text)
    assert getattr(Settings.load(), variable.lower()) == value


def test_float_threshold_is_read_as_its_decimal() -> None:
    assert Settings.load(lexical_threshold=0.9).lexical_threshold == Fraction(9, 10)


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("PERSONA_WRITR__MODEL", "x", "unknown setting PERSONA_WRITR__MODEL"),
        ("PERSONA_SHARED_DATA", "x", "unknown setting PERSONA_SHARED_DATA"),
        ("PERSONA_BENCHMARK__LIMIT", "6", "unknown setting PERSONA_BENCHMARK__LIMIT"),
        ("PERSONA_PROFILE", "dmo", "setting PERSONA_PROFILE: Input should be 'paper', "),
        ("PERSONA_TEXT_CHARS", "many", "setting PERSONA_TEXT_CHARS: Input should be a valid"),
        ("PERSONA_HELD_OUT_SHARE", "2", "setting PERSONA_HELD_OUT_SHARE: Input should be less"),
        ("PERSONA_TRAINING_SIZES", "8,16", "setting PERSONA_TRAINING_SIZES: lists and mappings"),
        ("PERSONA_TRAINING_SIZES", "[-8]", "setting PERSONA_TRAINING_SIZES__0: Input should be"),
        ("PERSONA_WRITER__TIMEOUT", "-1", "setting PERSONA_WRITER__TIMEOUT: Input should be"),
        ("PERSONA_WRITER__API_KEY", SECRET, "unknown setting PERSONA_WRITER__API_KEY (did you"),
        (
            "PERSONA_WRITER__MODLE",
            "x",
            "unknown setting PERSONA_WRITER__MODLE (did you mean MODEL?)",
        ),
        (
            "PERSONA_TASKS__tools__PER_SHRD",
            "2",
            "unknown setting PERSONA_TASKS__TOOLS__PER_SHRD (did you mean PER_SHARD?)",
        ),
        (
            "PERSONA_TEXT_CHAR",
            "500",
            "unknown setting PERSONA_TEXT_CHAR (did you mean PERSONA_TEXT_CHARS?)",
        ),
        (
            "PERSONA_EMBEDDING_PRECISION",
            "int8",
            "setting PERSONA_EMBEDDING_PRECISION: Value error, int8 is for the embedded model: set "
            "PERSONA_EMBEDDER__EMBEDDED=true",
        ),
        (
            "PERSONA_JUDGE__BASE_URL",
            f"https://u:{SECRET}@host/v1",
            "setting PERSONA_JUDGE__BASE_URL: Value error, base_url may hold no user",
        ),
        (
            "PERSONA_TASKS__TOOLS__MODE",
            "few-shot",
            "setting PERSONA_TASKS__TOOLS: Value error, mode few-shot does not go with shots=0",
        ),
        ("PERSONA_SANDBOX", "open", "setting PERSONA_SANDBOX: Input should be 'auto', 'light' or"),
        ("PERSONA_SOLUTIONS_PER_PROBLEM", "0", "setting PERSONA_SOLUTIONS_PER_PROBLEM: Input"),
    ],
)
def test_mistake_is_a_single_sentence_that_names_the_variable(
    variable: str, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as refusal:
        Settings.load()
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_solutions_that_would_be_the_same_are_refused() -> None:
    greedy = {"model": "m", "sampling": {"temperature": 0}}
    assert Settings.load(solver=greedy).solutions_per_problem == 1
    with pytest.raises(SettingsError, match="several solutions at temperature 0 would be the same"):
        Settings.load(solver=greedy, solutions_per_problem=3)


def test_unknown_argument_is_refused() -> None:
    with pytest.raises(SettingsError, match="unknown setting PERSONA_FOO"):
        Settings.load(foo=1)


def test_unknown_role_is_refused_with_the_known_roles() -> None:
    with pytest.raises(SettingsError, match="unknown role 'reader': there are writer, "):
        Settings.load().endpoint("reader")


def test_api_keys_stay_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    settings = Settings.load()
    assert settings.writer.api_key() == SECRET
    for text in (str(settings.model_dump()), settings.model_dump_json(), repr(settings)):
        assert SECRET not in text
        assert "OPENAI_API_KEY" in text


def test_prompting_of_a_task_comes_from_the_task_settings() -> None:
    tasks: dict[str, Any] = {"tools": {"mode": "few-shot", "shots": 2, "share": 0.5}}
    prompting = {"tools": {"mode": "few-shot", "shots": 1}, "evaluation": {"variables": {"a": "b"}}}
    settings = Settings.load(tasks=tasks, prompting=prompting)
    assert settings.prompting_of("tools").shots == 2
    assert settings.prompting_of("evaluation").variables == {"a": "b"}
    assert settings.prompting_of("math_solution").mode == "zero-shot"


def test_example_file_names_every_setting_with_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    default = Settings.load(profile="current")
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(
        line.lstrip("#").split("=", 1) for line in lines if line.lstrip("#").startswith("PERSONA_")
    )
    named = {name.removeprefix("PERSONA_").split("__")[0].lower() for name in given}
    roles = {"solver", "second_solver", "judge", "evaluation"}
    assert named | roles == set(Settings.model_fields)
    examples = {"corpus_fields", "benchmark", "decontaminate", "tasks", "prompting"}
    examples |= {"run_budget", "backfill_budget", "ledger_url", "protected_names"}
    examples |= {"dagster_postgres_url"}
    examples |= {"ready_personas", "ready_fields", "evaluation", "benchmarks", "baselines"}
    examples |= {"pair_writer", "pair_writer_similarity", "training"}
    for name, value in given.items():
        if not name.startswith("PERSONA_WRITER__"):
            monkeypatch.setenv(name, value)
    changed = {
        name
        for name in Settings.model_fields
        if getattr(Settings.load(), name) != getattr(default, name)
    }
    assert changed <= examples | {"held_out_share"}


def test_a_second_writer_has_pairs_at_the_paper_s_similarity_unless_another_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Settings.load().pair_writer_similarity is None
    assert Settings.load(pair_writer_similarity=0.8).pair_writer_similarity is None
    assert Settings.load().endpoint("pair_writer") == Settings.load().writer
    assert not Settings.load().has_role("pair_writer")
    monkeypatch.setenv("PERSONA_PAIR_WRITER__MODEL", "gpt-3.5-turbo")
    settings = Settings.load()
    assert settings.has_role("pair_writer")
    assert settings.endpoint("pair_writer").model == "gpt-3.5-turbo"
    assert settings.pair_writer_similarity == 0.9
    assert Settings.load(pair_writer_similarity=0.8).pair_writer_similarity == 0.8


def test_a_misspelled_member_of_a_second_writer_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PERSONA_PAIR_WRITER__MODEL", "gpt-3.5-turbo")
    monkeypatch.setenv("PERSONA_PAIR_WRITER__MODELL", "gpt-3.5-turbo")
    with pytest.raises(SettingsError, match="MODELL"):
        Settings.load()
