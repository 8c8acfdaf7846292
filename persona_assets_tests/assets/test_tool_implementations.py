"""Figure 18 of the paper: from a text by a persona and a tool to checked code, in one chain."""

from collections import Counter
from collections.abc import Iterator

import pytest

from persona_assets_tests.sample_project import SampleProject
from persona_assets_tests.strong_model import StrongModel

SHARD = "letters.jsonl"
TEXTS = [
    f"Note {number}: the {thing} by the quay needs a new rope."
    for number, thing in enumerate(
        [
            "bell",
            "boat",
            "press",
            "kiln",
            "loom",
            "mast",
            "oven",
            "mill",
            "pump",
            "gate",
            "scale",
            "lamp",
            "crane",
            "winch",
        ]
    )
]
CODE = "tool_implementations"


@pytest.fixture(scope="module")
def made(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleProject]:
    """Project whose writer is often wrong about the code of a tool, and about nothing else."""
    with StrongModel(bad=0.6) as server:
        server.spoils = lambda prompt: prompt == CODE
        root = tmp_path_factory.mktemp("code") / "project"
        sample = SampleProject(root, server, tasks=("math_problems", "tools", CODE))
        sample.write(SHARD, TEXTS)
        sample.values |= {
            "personas_per_hop": 0,
            "max_quarantine_share": 1.0,
            "tasks": {},
            "training_sizes": [],
        }
        runs = sample.run(f"+key:unique_{CODE}")
        assert [run.error for run in runs if run.error] == []
        yield sample


def test_trace_leads_from_code_to_the_text(made: SampleProject) -> None:
    [first, *_] = made.rows(f"unique_{CODE}", SHARD)["sample_id"]
    chain = made.catalog.query("SELECT asset FROM trace(?) ORDER BY step", [first])["asset"]
    assert chain.to_list() == [CODE, "tools", "text_personas", "raw_corpus"]


def test_row_of_code_carries_its_interface(made: SampleProject) -> None:
    rows, tools = made.rows(CODE, SHARD), made.rows("unique_tools", SHARD)
    joined = rows.join(tools, left_on="source_id", right_on="sample_id")
    assert len(joined) == len(rows) > 0
    for name in ("function_name", "input_args", "depend", "licence", "language"):
        assert joined[name].equals(joined[f"{name}_right"])


def test_wrong_code_is_dropped_with_its_reason(made: SampleProject) -> None:
    server = made.server
    assert isinstance(server, StrongModel)
    reasons = Counter(
        reason.partition(": ")[0] for reason in made.storage.quarantine(CODE, SHARD)["reason"]
    )
    faults = {fault: count for (_, fault), count in server.faults.items()}
    assert min(faults[fault] for fault in ("syntax", "signature", "undefined", "endless")) > 0
    assert reasons == {
        "python_code": faults["syntax"],
        "signature": faults["signature"],
        "lint": faults["undefined"],
        "run": faults["endless"],
    }
    assert len(made.rows(CODE, SHARD)) + reasons.total() == len(made.rows("unique_tools", SHARD))


def test_code_runs_where_it_needs_nothing_outside(made: SampleProject) -> None:
    rows = made.rows(CODE, SHARD)
    for row in rows.iter_rows(named=True):
        if row["depend"] == ["requests"]:
            assert (row["ran"], row["error"]) == (None, "not run: needs requests")
        else:
            assert row["ran"]
            assert " [" in row["result"]
    assert set(rows["ran"]) == {True, None}


def test_code_has_no_fence(made: SampleProject) -> None:
    assert not any("```" in code for code in made.rows(CODE, SHARD)["code"])


def test_second_run_asks_nothing(made: SampleProject) -> None:
    asked = made.server.calls.total()
    assert made.run(f"+key:unique_{CODE}") == []
    assert made.server.calls.total() == asked
