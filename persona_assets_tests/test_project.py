"""The code version of an asset changes with exactly its prompts, models, settings and files."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from persona_assets.benchmarks.benchmark_file import BenchmarkError
from persona_assets.definitions import build_defs
from persona_assets.project import Project
from persona_assets.prompting.front_matter import PromptError
from persona_assets.settings import ROLES, Settings, SettingsError
from persona_assets_tests.steps.answers_double import ROOT

OPERATIONAL = {
    "benchmarks",  # each file is read by the accuracy on it
    "baselines",  # each model is the role of a prompt
    "profile",  # shapes no row by itself: its values are settings of their own
    "data_dir",
    "ready_personas",  # as the corpus
    "corpus",  # the file's hash is in the footer of its shard's raw_corpus
    "prompts",  # the files' contents are in their versions
    "model_dir",
    "max_quarantine_share",  # decides whether a table is published, not its rows
    "max_rejected_share",  # decides whether a paid step goes on
    "run_budget",
    "backfill_budget",
    "unasked_budget",
    "ledger_url",
    "dagster_postgres_url",
    "training_sizes",  # partitions
    "training_seeds",  # partitions
    "train_without_personas",  # adds tables
    "dedup_engine",  # place and speed of the join, not its result
    "dedup_threads",
    "spark_master",
}
"""Settings that shape no row."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy of the files that the versions of a project depend on."""
    for name in os.environ:
        if name.upper().startswith("PERSONA_"):
            monkeypatch.delenv(name)
    shutil.copytree(ROOT / "prompts", tmp_path / "prompts")
    shutil.copy(ROOT / "data" / "benchmarks" / "sample.jsonl", tmp_path / "sample.jsonl")
    return tmp_path


def settings(folder: Path, **values: Any) -> Settings:
    paths = {"prompts": folder / "prompts", "benchmark": folder / "sample.jsonl"}
    return Settings.load(**paths | {"data_dir": folder} | values)


def version(folder: Path, read: str = "", **values: Any) -> str:
    """Return the code version of an asset that uses two prompts, and the setting `read`."""
    prompts = ["math_problems", "math_solution@second_solver"]
    return Project(settings(folder, **values)).code_version("1", prompts, [read] if read else [])


def test_every_setting_is_read_by_an_asset_or_is_operational(folder: Path) -> None:
    given = settings(folder, tasks={"tools": {"unique_cosine": 0.9}})
    covered = {"prompting", "language"}  # Project.prompt binds prompts with them
    project = Project(given)
    for spec in build_defs(given).resolve_all_asset_specs():
        read = spec.metadata["persona_assets/reads"]
        covered |= {
            "tasks" if name.partition(".")[0] in project.prompts.tasks else name
            for name in read["settings"]
        }
        covered |= {project.prompt(name).head.role for name in read["prompts"]}
        assert spec.code_version
    assert set(ROLES) < covered
    assert set(Settings.model_fields) - covered == OPERATIONAL
    assert covered < set(Settings.model_fields)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_code_version_is_repeatable_and_depends_on_the_settings_read(folder: Path) -> None:
    assert version(folder) == version(folder)
    assert len({version(folder, read) for read in ("", "text_chars", "judge", "tools")}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"writer": {"model": "other"}},
        {"writer": {"model": "gpt-4", "sampling": {"seed": 2}}},
        {"writer": {"structured_output": "json_object"}},
        {"writer": {"weights_sha256": "ab12"}},
        {"second_solver": {"model": "other"}},
        {"prompting": {"math_solution": {"mode": "few-shot", "shots": 1}}},
        {"tasks": {"math_problems": {"mode": "few-shot", "shots": 2}}},
        {"tasks": {"math_problems": {"variables": {"focus": "geometry"}}}},
    ],
)
def test_code_version_changes_with_models_and_prompting(
    folder: Path, change: dict[str, Any]
) -> None:
    assert version(folder, **change) != version(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"writer": {"base_url": "http://127.0.0.1:1/v1"}},
        {"writer": {"provider": "azure", "api_version": "2024-10-21"}},
        {"writer": {"concurrency": 3}},
        {"writer": {"timeout": 3}},
        {"writer": {"deadline": 3}},
        {"writer": {"max_attempts": 1}},
        {"writer": {"transport": "batch"}},
        {"writer": {"price": {"input": 1, "output": 2}}},
        {"writer": {"tokens_per_minute": 90_000}},
        {"run_budget": 5},
        {"writer": {"api_key_env": "OTHER_KEY"}},
        {"writer": {"embedded": True}},
        {"data_dir": "elsewhere"},
        {"model_dir": "elsewhere"},
        {"solver": {"model": "not asked here"}},
        {"tasks": {"tools": {"mode": "few-shot", "shots": 2}}},
        {"tasks": {"math_problems": {"share": 0.5}}},
        {"text_chars": 123},
    ],
)
def test_code_version_ignores_settings_that_shape_no_row_of_the_asset(
    folder: Path, change: dict[str, Any]
) -> None:
    assert version(folder, **change) == version(folder)


@pytest.mark.parametrize(
    ("read", "change"),
    [
        ("text_chars", {"text_chars": 123}),
        ("lexical_threshold", {"lexical_threshold": "4/5"}),
        ("training", {"training": {"hyper": {"epochs": 1}}}),
        ("corpus_fields", {"corpus_fields": {"text": "body"}}),
        ("embedder", {"embedder": {"model": "other"}}),
        ("tools", {"tasks": {"tools": {"share": 0.5}}}),
        ("tools", {"tasks": {"tools": {"per_shard": 3}}}),
    ],
)
def test_code_version_changes_with_a_setting_that_the_asset_reads(
    folder: Path, read: str, change: dict[str, Any]
) -> None:
    assert version(folder, read, **change) != version(folder, read)


@pytest.mark.parametrize(
    "member",
    [
        {"evaluations": 3},
        {"checkpoint_seconds": None},
        {"checkpoint_steps": 5},
        {"processes": 8},
        {"accelerate_config": "fsdp2"},
        {"device_gib": 80},
        {"evaluation_share": 0.0},
    ],
)
def test_a_model_is_not_stale_for_the_way_it_is_trained(
    folder: Path, member: dict[str, Any]
) -> None:
    assert version(folder, "training", training=member) == version(folder, "training")
    apart = {"evaluation_share": 0.1}
    assert version(folder, "training", training=apart) != version(folder, "training")


FILES: dict[str, Callable[[Path], None]] = {
    "prompt": lambda folder: edit(
        folder / "prompts/tasks/math_problems.md", "no heading", "no title"
    ),
    "second prompt": lambda folder: edit(
        folder / "prompts/math_solution.md", "step by step", "slowly"
    ),
    "benchmark": lambda folder: edit(folder / "sample.jsonl", "chess club", "chess team"),
}


@pytest.mark.parametrize("file", FILES)
def test_code_version_changes_with_the_content_of_files(folder: Path, file: str) -> None:
    before = version(folder, "benchmark"), version(folder)
    FILES[file](folder)
    assert version(folder, "benchmark") != before[0]
    assert (version(folder) == before[1]) == (file == "benchmark")


def test_code_version_depends_on_name_and_content_of_a_benchmark_not_its_folder(
    folder: Path,
) -> None:
    before = version(folder, "benchmark")
    moved = folder / "data" / "sample.jsonl"
    moved.parent.mkdir()
    (folder / "sample.jsonl").rename(moved)
    assert version(folder, "benchmark", benchmark=moved) == before
    # The name of the benchmark is a column of the table of accuracies.
    renamed = moved.rename(folder / "other.jsonl")
    assert version(folder, "benchmark", benchmark=renamed) != before


def test_edit_changes_exactly_the_assets_that_use_it(folder: Path) -> None:
    def versions(**values: Any) -> dict[str, str | None]:
        specs = build_defs(settings(folder, **values)).resolve_all_asset_specs()
        return {spec.key.to_user_string(): spec.code_version for spec in specs}

    def changed(**values: Any) -> set[str]:
        return {name for name, code in versions(**values).items() if code != before[name]}

    before = versions()
    hops = {f"hop_{number}_personas" for number in range(1, 7)}
    assert changed(relations_per_persona=5) == hops
    assert changed(tasks={"tools": {"share": 0.5}}) == {"tools"}
    # The threshold decides whose vectors have a meaning, too.
    on_the_map = {"map_landmarks", "persona_map"}
    assert changed(semantic_threshold=0.5) == {
        *("semantic_duplicates", "control_arms"),
        *on_the_map,
    }
    embedded: dict[str, Any] = {"embedder": {"model": "all-MiniLM-L6-v2", "embedded": True}}
    exact, coarse = versions(**embedded), versions(**embedded, embedding_precision="int8")
    stale = {name for name, code in coarse.items() if code != exact[name]}
    assert stale == {"persona_embeddings", "semantic_duplicates"}
    edit(folder / "prompts" / "persona_to_persona.md", "Be specific", "Be exact")
    assert changed() == hops
    (folder / "prompts/tasks/riddles.md").write_text(
        (folder / "prompts/tasks/instructions.md").read_text()
    )
    assert "riddles" in versions()


def test_prompt_name_may_carry_the_role_after_an_at_sign(folder: Path) -> None:
    project = Project(settings(folder))
    assert project.prompt("math_solution").head.role == "solver"
    second = project.prompt("math_solution@second_solver", "a.jsonl")
    assert (second.name, second.head.role) == ("math_solution", "second_solver")
    with pytest.raises(PromptError, match="no prompt nothing"):
        project.prompt("nothing")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"tasks": {"math_problem": {}}}, "PERSONA_TASKS: no prompt file .* mean math_problems"),
        ({"tasks": {"text_to_persona": {}}}, "PERSONA_TASKS: no prompt file is named 'text_to"),
        ({"prompting": {"text_to_personas": {}}}, "PERSONA_PROMPTING: .* mean text_to_persona"),
        ({"prompting": {"zzz": {}}}, "PERSONA_PROMPTING: .*'zzz'; there are answer_equality, "),
    ],
)
def test_setting_of_an_unknown_prompt_is_refused(
    values: dict[str, Any], sentence: str, folder: Path
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        build_defs(settings(folder, **values))


def test_profile_may_configure_a_task_that_the_project_removed(folder: Path) -> None:
    (folder / "prompts" / "tasks" / "tools.md").unlink()
    assert "tools" not in Project(settings(folder, profile="demo")).prompts.tasks


def test_names_of_the_user_s_file_are_protected_and_part_of_the_version(folder: Path) -> None:
    names = folder / "names.txt"
    names.write_text("# neighbours\nAda Byron\n\nWill Ito\n")
    project = Project(settings(folder, protected_names=names))
    assert project.protection.apply("A fan of Will Ito", "persona").reason == "personal_data:name"
    before = version(folder, "protected_names", protected_names=names)
    copy = shutil.copy(names, folder / "moved.txt")
    assert version(folder, "protected_names", protected_names=Path(copy)) == before
    names.write_text("Ada Byron\n")
    assert version(folder, "protected_names", protected_names=names) != before


def test_missing_file_of_names_is_named(folder: Path) -> None:
    missing = Project(settings(folder, protected_names=folder / "nobody.txt"))
    with pytest.raises(SettingsError, match=r"PERSONA_PROTECTED_NAMES: .*nobody\.txt"):
        _ = missing.protection


def test_language_of_the_settings_changes_the_prompts_that_write(folder: Path) -> None:
    plain, german = (Project(settings(folder, **changes)) for changes in ({}, {"language": "de"}))
    names = {"text_to_persona", "persona_to_persona", *plain.prompts.tasks}
    changed = {
        name
        for name in plain.prompts.names
        if plain.prompt(name).version != german.prompt(name).version
    }
    assert changed == names
    [persona] = german.prompt("tools").request({"persona": "A tailor."}).messages[1:]
    assert persona["content"].endswith("Write in German.")


def test_language_of_a_task_wins_over_that_of_the_project(folder: Path) -> None:
    task = {"tools": {"language": "zh"}}
    project = Project(settings(folder, language="de", tasks=task))
    assert project.prompt("tools").language == "Chinese"
    assert project.prompt("text_to_persona").language == "German"


def test_another_benchmark_changes_no_math_set_whose_files_are_named(folder: Path) -> None:
    shutil.copy(folder / "sample.jsonl", folder / "other.jsonl")
    other = {"benchmark": folder / "other.jsonl"}
    named = {"decontaminate": [folder / "sample.jsonl"]}
    assert version(folder, "decontaminate") == version(folder, "benchmark")
    assert version(folder, "decontaminate") != version(folder, "decontaminate", **other)
    before = version(folder, "decontaminate", **named)
    assert version(folder, "decontaminate", **named, **other) == before
    more = {"decontaminate": [folder / "sample.jsonl", folder / "other.jsonl"]}
    assert version(folder, "decontaminate", **more) != before
    problems = Project(settings(folder, **more)).forbidden_problems()
    assert dict(problems["benchmark"].value_counts().iter_rows()) == {"sample": 84, "other": 84}


def test_a_missing_file_of_forbidden_problems_is_an_error_that_names_the_setting(
    folder: Path,
) -> None:
    project = Project(settings(folder, decontaminate=[folder / "none.jsonl"]))
    with pytest.raises(BenchmarkError, match=r"none\.jsonl .*: set PERSONA_DECONTAMINATE"):
        project.forbidden_problems()
