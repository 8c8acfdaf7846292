"""The graph as a whole: graph.txt shows it, and a change of the graph shows as a change of it.

After a change that is meant: python -m persona_assets_tests.test_definitions
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
from persona_assets.prompting.prompts import PromptError
from persona_assets.settings import Settings

ROOT = Path(__file__).parents[1]
GRAPH = Path(__file__).with_name("graph.txt")
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
]


def definitions(prompts: Path = ROOT / "prompts") -> dg.Definitions:
    return build_defs(Settings.load(profile="paper", prompts=prompts, benchmark=SAMPLE))


SAMPLE = ROOT / "data" / "benchmarks" / "sample.jsonl"


def drawn(defs: dg.Definitions) -> Iterator[str]:
    """The graph as text, group by group, each asset with what the UI shows of it."""
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
    yield f"schedules: {', '.join(sorted(one.name for one in repository.schedule_defs))}"
    yield f"sensors: {', '.join(sorted(one.name for one in repository.sensor_defs))}"


def test_the_graph_is_the_one_that_is_written_down() -> None:
    assert list(drawn(definitions())) == GRAPH.read_text().splitlines(), (
        "if the graph was meant to change: python -m persona_assets_tests.test_definitions"
    )


def test_each_asset_says_in_one_sentence_what_it_holds() -> None:
    for spec in definitions().resolve_all_asset_specs():
        text = spec.description or ""
        assert text.endswith("."), spec.key
        assert "\n" not in text, spec.key
        assert not re.search(r"[.!?] +[A-Z]", text), spec.key
        assert 20 < len(text) < 200, spec.key


def test_each_check_says_what_it_looks_at() -> None:
    checks = definitions().asset_checks or ()
    specs = [spec for check in checks for spec in check.check_specs]
    assert len(specs) > 30
    assert all((spec.description or "").endswith(".") for spec in specs)


def test_the_code_location_loads() -> None:
    dg.Definitions.validate_loadable(definitions())


def test_importing_the_code_location_imports_nothing_heavy() -> None:
    code = f"import sys, persona_assets.definitions; print(*(set({HEAVY}) & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (found.stdout.split(), found.stderr) == ([], "")


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "prompts", tmp_path / "prompts"))


def test_a_new_task_file_is_a_new_dataset(prompts: Path) -> None:
    text = (prompts / "tasks" / "instructions.md").read_text()
    (prompts / "tasks" / "complaints.md").write_text(text.replace("What a persona may", "What to"))
    before = {spec.key for spec in definitions().resolve_all_asset_specs()}
    after = {spec.key: spec for spec in definitions(prompts).resolve_all_asset_specs()}
    [new] = after.keys() - before
    assert new == dg.AssetKey("complaints")
    assert after[new].group_name == "datasets"
    assert after[new].description == "What to ask an AI assistant (section 4.3)."
    assert [dep.asset_key for dep in after[new].deps] == [dg.AssetKey("persona_hub")]


@pytest.mark.parametrize(
    "name",
    ["two-words", "persona_hub", "hop_1_personas", "Usage", "links", "evaluation", "Tools"],
)
def test_a_task_file_with_a_name_that_no_table_can_have_is_refused(
    prompts: Path, name: str
) -> None:
    (prompts / "tasks" / "instructions.md").rename(prompts / "tasks" / f"{name}.md")
    with pytest.raises(PromptError, match=f"(?i){name}.md: "):
        definitions(prompts)


def test_a_graph_without_math_problems_is_refused(prompts: Path) -> None:
    (prompts / "tasks" / "math_problems.md").unlink()
    with pytest.raises(PromptError, match="math_solutions needs this task"):
        definitions(prompts)


def versions(prompts: Path) -> dict[str, str]:
    specs = definitions(prompts).resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec.code_version or "" for spec in specs}


def test_a_prompt_counts_in_the_code_version_of_its_assets_alone(prompts: Path) -> None:
    before = versions(prompts)
    path = prompts / "math_program.md"
    path.write_text(path.read_text() + "\nBe brief.\n")
    after = versions(prompts)
    assert {name for name in after if after[name] != before[name]} == {"math_solutions"}
    assert all(re.fullmatch(r"[0-9a-f]{16}", version) for version in after.values())


if __name__ == "__main__":
    GRAPH.write_text("".join(f"{line}\n" for line in drawn(definitions())))
