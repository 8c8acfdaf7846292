"""The definitions are the graph in graph.txt, load fast, and follow the prompt files.

After an intended change of the graph: python -m persona_assets_tests.test_definitions
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from persona_assets.definitions import build_defs
from persona_assets.prompting.front_matter import PromptError
from persona_assets.settings import Settings

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "benchmarks" / "sample.jsonl"
GRAPH = Path(__file__).with_name("graph.txt")
HEAVY_IMPORTS = "persona_assets_tests.programs.print_heavy_imports"
HEAVY = [
    "openai",
    "torch",
    "transformers",
    "numba",
    "llvmlite",
    "onnx",
    "onnxruntime",
    "tokenizers",
    "pyspark",
    "sentence_transformers",
    "matplotlib",
    "datasketch",
    "duckdb",
    "xllamacpp",
    "math_verify",
    "trl",
    "datasets",
    "sklearn",
    "scipy",
    "sympy",
    "faiss",
    "pacmap",
]


def definitions(prompts: Path = ROOT / "prompts") -> dg.Definitions:
    return build_defs(Settings.load(profile="paper", prompts=prompts, benchmark=SAMPLE))


def graph_lines(defs: dg.Definitions) -> Iterator[str]:
    """Yield the graph as text: by group, each asset with the attributes that the UI shows."""
    graph = defs.resolve_asset_graph()
    nodes = sorted(graph.asset_nodes, key=lambda node: (node.group_name or "", node.key.path))
    group = ""
    for node in nodes:
        if node.group_name != group:
            group = node.group_name or ""
            yield f"{group}"
        partitions = getattr(node.partitions_def, "name", None)
        yield f"    {node.key.to_user_string()}{f' [{partitions}]' if partitions else ''}"
        pools = sorted(pool for pool in node.pools or () if pool)
        checks = sorted(key.name for key in graph.get_check_keys_for_assets({node.key}))
        for name, values in (
            ("from", sorted(key.to_user_string() for key in node.parent_keys)),
            ("kinds", sorted(node.kinds or ())),
            ("pool", pools),
            ("checks", checks),
        ):
            if values:
                yield f"        {name}: {', '.join(values)}"
    repository = defs.get_repository_def()
    yield f"schedules: {', '.join(sorted(schedule.name for schedule in repository.schedule_defs))}"
    yield f"sensors: {', '.join(sorted(sensor.name for sensor in repository.sensor_defs))}"


def test_graph_is_that_of_graph_txt() -> None:
    assert list(graph_lines(definitions())) == GRAPH.read_text().splitlines(), (
        "if the change of the graph is intended: python -m persona_assets_tests.test_definitions"
    )


def test_asset_descriptions_are_single_sentences() -> None:
    for spec in definitions().resolve_all_asset_specs():
        text, purpose = (spec.description or "").split("\n\n")
        assert purpose.startswith(f"Group `{spec.group_name}`: "), spec.key
        assert text.endswith("."), spec.key
        assert "\n" not in text, spec.key
        assert not re.search(r"[.!?] +[A-Z]", text), spec.key
        assert 20 < len(text) < 200, spec.key


def test_check_descriptions_are_sentences() -> None:
    checks = definitions().asset_checks or ()
    specs = [spec for check in checks for spec in check.check_specs]
    assert len(specs) > 30
    assert all((spec.description or "").endswith(".") for spec in specs)


def test_definitions_load_in_dagster() -> None:
    dg.Definitions.validate_loadable(definitions())


def test_definitions_import_no_heavy_library() -> None:
    process = subprocess.run(
        [sys.executable, "-W", "error", "-m", HEAVY_IMPORTS, *HEAVY],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (process.stdout.split(), process.stderr, process.returncode) == ([], "", 0)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Copy of the shipped prompts, free to change."""
    return Path(shutil.copytree(ROOT / "prompts", tmp_path / "prompts"))


def test_definitions_have_a_dataset_for_a_new_task_file(prompts: Path) -> None:
    text = (prompts / "tasks" / "instructions.md").read_text()
    (prompts / "tasks" / "complaints.md").write_text(text.replace("What a persona may", "What to"))
    before = {spec.key for spec in definitions().resolve_all_asset_specs()}
    after = {spec.key: spec for spec in definitions(prompts).resolve_all_asset_specs()}
    new, duplicates, unique, report = (
        dg.AssetKey(f"{prefix}complaints") for prefix in ("", "duplicate_", "unique_", "report_")
    )
    assert after.keys() - before == {new, duplicates, unique, report}
    assert [dep.asset_key for dep in after[duplicates].deps] == [new]
    assert {dep.asset_key for dep in after[unique].deps} == {new, duplicates}
    assert {dep.asset_key for dep in after[report].deps} == {new, unique}
    assert after[new].group_name == "datasets"
    assert (after[new].description or "").startswith("What to ask an AI assistant (section 4.3).\n")
    assert [dep.asset_key for dep in after[new].deps] == [dg.AssetKey("persona_hub")]


@pytest.mark.parametrize(
    "name",
    ["two-words", "persona_hub", "hop_1_personas", "Usage", "links", "diversity_problem", "Tools"],
)
def test_definitions_refuse_a_task_file_whose_name_no_table_can_have(
    prompts: Path, name: str
) -> None:
    (prompts / "tasks" / "instructions.md").rename(prompts / "tasks" / f"{name}.md")
    with pytest.raises(PromptError, match=f"(?i){name}.md: "):
        definitions(prompts)


@pytest.mark.parametrize("name", ["unique_tools", "Duplicate_tools", "Report_tools"])
def test_definitions_refuse_a_task_file_with_the_name_of_a_further_table_of_another_task(
    prompts: Path, name: str
) -> None:
    (prompts / "tasks" / "knowledge_texts.md").rename(prompts / "tasks" / f"{name}.md")
    with pytest.raises(
        PromptError, match=rf"/tools.md: .* the name {name.lower()}, which is taken"
    ):
        definitions(prompts)


def test_definitions_compare_tasks_with_each_other_where_asked(prompts: Path) -> None:
    for name in ("logic_problems", "math_problems"):
        path = prompts / "tasks" / f"{name}.md"
        path.write_text(
            path.read_text().replace("\nvariables", "\nunique: {among: problems}\nvariables")
        )
    specs = {spec.key: spec for spec in definitions(prompts).resolve_all_asset_specs()}
    inputs = {
        name: sorted(dep.asset_key.to_user_string() for dep in specs[dg.AssetKey(name)].deps)
        for name in ("duplicate_problems", "unique_math_problems", "unique_logic_problems")
    }
    assert inputs == {
        "duplicate_problems": ["logic_problems", "math_problems"],
        "unique_math_problems": ["duplicate_problems", "math_problems"],
        "unique_logic_problems": ["duplicate_problems", "logic_problems"],
    }
    assert dg.AssetKey("duplicate_math_problems") not in specs


def test_definitions_refuse_a_graph_without_math_problems(prompts: Path) -> None:
    (prompts / "tasks" / "math_problems.md").unlink()
    with pytest.raises(PromptError, match="math_solutions needs this task"):
        definitions(prompts)


def code_versions(prompts: Path) -> dict[str, str]:
    specs = definitions(prompts).resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec.code_version or "" for spec in specs}


def test_code_version_depends_on_the_prompts_of_its_asset_alone(prompts: Path) -> None:
    before = code_versions(prompts)
    path = prompts / "math_program.md"
    path.write_text(path.read_text() + "\nBe brief.\n")
    after = code_versions(prompts)
    assert {name for name in after if after[name] != before[name]} == {"math_solutions"}
    assert all(re.fullmatch(r"[0-9a-f]{16}", version) for version in after.values())


if __name__ == "__main__":
    GRAPH.write_text("".join(f"{line}\n" for line in graph_lines(definitions())))
