"""Repeated samples leave each task over all shards, and nothing is bought for them or again.

The server of these tests writes one of few math problems for every persona, so that shards repeat
problems within and between them.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from persona_assets.generation import call_key
from persona_assets_tests.assets.test_checks import replace, run_check
from persona_assets_tests.conftest import in_memory
from persona_assets_tests.generation.fault_server import chat
from persona_assets_tests.greedy_survivors import greedy_survivors
from persona_assets_tests.model_server import ModelServer, prompt_of
from persona_assets_tests.sample_project import TEXTS, SampleProject

BIRDS, LETTERS = TEXTS
LATE = "new/late.jsonl"
MATH = "+key:math_train or +key:math_test"

APPLES = "At the market of {} a quiet baker stacks {} crates of {} apples each and {} loose ones."
ASK = " How many apples are there?"
POOL = [
    APPLES.format("Bako", 12, 7, 5) + ASK,
    APPLES.format("BAKO", 12, 7, 5) + ASK.upper(),
    APPLES.format("Bako", 12, 7, 6) + ASK,
    APPLES.format("Bako", 90, 80, 70) + ASK,
    "A ferry carries 40 crates of 9 apples and 3 loose pears over a strait. Count its fruit.",
]
"""Problems: the second and third are duplicates of the first, and the fourth differs in all its
numbers, which are 3 of its 22 words."""


class RepeatingServer(ModelServer):
    """Model server that knows few math problems."""

    def reply(self, message: str, body: dict[str, Any]) -> str:
        if "input" not in body and prompt_of(body) == "math_problems":
            key = int(call_key(body["model"], "/chat/completions", body)[:8], 16)
            return chat(POOL[key % len(POOL)])
        return super().reply(message, body)


@pytest.fixture(scope="module")
def repeating(
    finished: SampleProject,
) -> Iterator[tuple[SampleProject, RepeatingServer]]:
    """Finished project with new problems, which are repeated; tests copy it."""
    with RepeatingServer() as server, in_memory() as root:
        sample = finished.copy(Path(root) / "project", server)
        sample.edit("tasks/math_problems", "# User\n", "# User\n\nBe kind.\n")
        assert [run.error for run in sample.run(MATH) if run.error] == []
        yield sample, server


def problems(sample: SampleProject, *shards: str) -> list[tuple[str, str]]:
    """Return id and text of the problems of shards, in order of arrival."""
    tables = [sample.rows("math_problems", shard) for shard in shards]
    return [row for table in tables for row in table.select("sample_id", "problem").iter_rows()]


def survivors(sample: SampleProject) -> dict[str, str]:
    """Return the survivor of each duplicate problem."""
    table = sample.rows("duplicate_math_problems")
    return dict(table.select("sample_id", "survivor_id").iter_rows())


def test_repeated_problems_leave_with_the_earliest_as_survivor(
    repeating: tuple[SampleProject, RepeatingServer],
) -> None:
    sample, _ = repeating
    found = survivors(sample)
    assert found == greedy_survivors(problems(sample, BIRDS, LETTERS), Fraction(9, 10))
    shard_of = {row_id: shard for shard in TEXTS for row_id, _ in problems(sample, shard)}
    pairs = {(shard_of[duplicate], shard_of[survivor]) for duplicate, survivor in found.items()}
    assert {(BIRDS, BIRDS), (LETTERS, BIRDS)} <= pairs
    for shard in TEXTS:
        unique = sample.rows("unique_math_problems", shard)
        everything = sample.rows("math_problems", shard)
        assert unique.equals(everything.filter(~pl.col("sample_id").is_in(list(found))))
        dropped = sample.storage.quarantine("unique_math_problems", shard)
        assert set(dropped["id"]) == {i for i in found if shard_of[i] == shard}
        assert set(dropped["reason"]) <= {"lexical_duplicate"}


def test_a_repeated_problem_is_not_solved(
    repeating: tuple[SampleProject, RepeatingServer],
) -> None:
    sample, server = repeating
    unique = pl.concat(sample.rows("unique_math_problems", shard) for shard in TEXTS)
    solutions = pl.concat(sample.rows("math_solutions", shard) for shard in TEXTS)
    assert set(solutions["sample_id"]) <= set(unique["sample_id"])
    held_out = sum(round(0.5 * len(sample.rows("unique_math_problems", shard))) for shard in TEXTS)
    assert server.calls["math_program"] == held_out
    assert server.calls["math_solution"] == len(unique) + held_out


def test_a_new_shard_changes_no_earlier_survivor_and_buys_nothing_again(
    repeating: tuple[SampleProject, RepeatingServer], folder: Path
) -> None:
    with RepeatingServer() as server:
        sample = repeating[0].copy(folder / "copy", server)
        before, versions = survivors(sample), sample.versions()
        sample.write(LATE, ["A letter about the tide tables of the harbour.", "On bells."])
        assert [run.error for run in sample.run(MATH) if run.error] == []
        after = survivors(sample)
        assert after == greedy_survivors(problems(sample, BIRDS, LETTERS, LATE), Fraction(9, 10))
        assert before.items() <= after.items()
        late = {row_id for row_id, _ in problems(sample, LATE)}
        assert after.keys() - before.keys() <= late
        assert any(after[row_id] not in late for row_id in late & after.keys())
        now = sample.versions()
        changed = {table for table in versions if now[table] != versions[table]}
        assert {shard for _, shard in changed} <= {None}
        unique = sample.rows("unique_math_problems", LATE)
        held_out = round(0.5 * len(unique))
        assert server.calls["math_problems"] == len(late)
        assert server.calls["math_solution"] == len(unique) + held_out
        assert server.calls["math_program"] == held_out
        assert sample.stale() == [] or all(
            not {"duplicate_math_problems", "unique_math_problems", "math_solutions"}
            & work.reasons.keys()
            for work in sample.stale()
        )


def test_why_leads_from_a_repeated_problem_to_its_survivor(
    repeating: tuple[SampleProject, RepeatingServer],
) -> None:
    sample, _ = repeating
    duplicate, survivor = next(iter(survivors(sample).items()))
    rows = sample.catalog.query(
        "SELECT step, row_id, asset, outcome, reason, survivor_id FROM why(?)", [duplicate]
    )
    first = [row[1:] for row in rows.rows() if row[0] == 0]
    assert first == [
        (duplicate, "math_problems", "kept", None, None),
        (duplicate, "unique_math_problems", "dropped", "lexical_duplicate", survivor),
    ]
    second = [row[1:4] for row in rows.rows() if row[0] == 1]
    assert second[:2] == [
        (survivor, "math_problems", "kept"),
        (survivor, "unique_math_problems", "kept"),
    ]
    texts = sample.catalog.query("SELECT text, survivor_text FROM why(?)", [duplicate])
    assert set(texts["survivor_text"].drop_nulls()) <= set(POOL)
    assert set(texts["text"]) <= set(POOL)


def set_unique(sample: SampleProject, **values: Any) -> None:
    """Set what decides the unique math problems."""
    tasks = sample.values["tasks"]
    problems = {**tasks["math_problems"], **values}
    sample.values["tasks"] = {**tasks, "math_problems": problems}


def run_math(sample: SampleProject) -> None:
    assert [run.error for run in sample.run(MATH) if run.error] == []


def solved(sample: SampleProject) -> set[tuple[str, str]]:
    """Return id and solver of each solution."""
    tables = (sample.rows("math_solutions", shard) for shard in TEXTS)
    return {row for table in tables for row in table.select("sample_id", "solver").iter_rows()}


def test_a_project_whose_problems_were_all_solved_buys_no_solution_again(
    repeating: tuple[SampleProject, RepeatingServer], folder: Path
) -> None:
    with RepeatingServer() as server:
        sample = repeating[0].copy(folder / "copy", server)
        set_unique(sample, unique=False)
        run_math(sample)
        everything = {row_id for row_id, _ in problems(sample, BIRDS, LETTERS)}
        before = solved(sample)
        assert {row_id for row_id, _ in before} == everything
        assert survivors(sample) == {}
        server.calls.clear()

        set_unique(sample, unique=True)
        run_math(sample)
        after = solved(sample)
        assert {row_id for row_id, _ in after} == everything - survivors(sample).keys()
        # Fewer problems: the share that is held out may take in a problem that was not.
        assert server.calls.total() == len(after - before)
        assert all(solver != "assistant" for _, solver in after - before)


def test_repeated_problems_on_both_sides_fail_the_check_of_held_out_problems(
    repeating: tuple[SampleProject, RepeatingServer], folder: Path
) -> None:
    with RepeatingServer() as server:
        sample = repeating[0].copy(folder / "copy", server)
        assert check(sample, "math_train").passed
        assert check(sample, "math_test").passed
        set_unique(sample, unique=False)
        run_math(sample)
        # Whatever the setting, no problem to train on is a held-out one.
        reasons = sample.storage.quarantine("math_train", None)["reason"]
        assert reasons.str.starts_with("contaminated: held_out ").any()
        assert check(sample, "math_train").passed
        warned = check(sample, "math_test")
        assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
        set_unique(sample, unique=True)
        failed = check(sample, "math_test")
        assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert failed.metadata["shared_problems"].value > 0


def check(sample: SampleProject, asset: str) -> dg.AssetCheckEvaluation:
    return run_check(sample, asset, "held_out_apart", None)


def test_a_survivor_that_repeats_another_fails_the_check_of_duplicates(
    repeating: tuple[SampleProject, RepeatingServer], folder: Path
) -> None:
    with RepeatingServer() as server:
        sample = repeating[0].copy(folder / "copy", server)
        assert run_check(sample, "duplicate_math_problems", "survivors_stand", None).passed
        rows = sample.rows("duplicate_math_problems")
        replace(sample, "duplicate_math_problems", None, rows.tail(-1))
        failed = run_check(sample, "duplicate_math_problems", "survivors_stand", None)
        assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert failed.metadata["similar_survivors"].value > 0


def test_tasks_of_a_group_repeat_no_sample_of_each_other(
    repeating: tuple[SampleProject, RepeatingServer], folder: Path
) -> None:
    with RepeatingServer() as server:
        sample = repeating[0].copy(folder / "copy", server)
        text = (sample.prompts / "tasks" / "math_problems.md").read_text()
        head = "\nunique: {among: problems}\nvariables"
        for name in ("math_problems", "word_problems"):
            path = sample.prompts / "tasks" / f"{name}.md"
            path.write_text(text.replace("\nvariables", head, 1))
        runs = sample.run("+key:unique_word_problems or +key:unique_math_problems")
        assert [run.error for run in runs if run.error] == []
        # The order is by shard, and then by task.
        rows = [
            row
            for shard in TEXTS
            for task in ("math_problems", "word_problems")
            for row in sample.rows(task, shard).select("sample_id", "problem").iter_rows()
        ]
        table = sample.rows("duplicate_problems").select("sample_id", "survivor_id")
        assert dict(table.iter_rows()) == greedy_survivors(rows, Fraction(9, 10))
        words = {
            row_id for shard in TEXTS for row_id in sample.rows("word_problems", shard)["sample_id"]
        }
        maths = {row_id for row_id, _ in problems(sample, *TEXTS)}
        assert any(d in words and s in maths for d, s in table.iter_rows())
        assert server.calls.total() == len(words)
