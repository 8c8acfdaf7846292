"""A run without a budget spends little unasked: it asks in a terminal, and stops anywhere else."""

import os
import pty
import re
import subprocess
import sys

import pytest

from persona_assets_tests.sample_project import TEXTS, SampleProject

BIRDS, LETTERS = TEXTS
DEAR = {"input": "2", "output": "10"}
"""US dollars per million tokens: a call costs 0.000044 dollars, and at most some 0.003."""

UNASKED = "0.00005"
"""US dollars that may be spent unasked: a call and a bit."""

CHEAP = {"input": "0.01", "output": "0.01"}
SELECTION = ("run", "--select", "+key:text_personas")


@pytest.fixture
def project(fresh: SampleProject) -> SampleProject:
    """Project with a pilot: the shard of one text."""
    fresh.values["writer"]["price"] = CHEAP
    assert [run.error for run in fresh.run("+key:text_personas", [LETTERS])] == [""]
    fresh.values["writer"]["price"] = DEAR
    fresh.values["unasked_budget"] = UNASKED
    # Calls of the pilot are forecast at their own cost unless that is unknown.
    for file in (fresh.data / "completions").rglob("*.parquet"):
        forget_costs(str(file))
    return fresh


def forget_costs(file: str) -> None:
    import polars as pl
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    emptied = frame.with_columns(cost_usd=pl.lit(None, frame.schema["cost_usd"]))
    pq.write_table(emptied.to_arrow().cast(table.schema), file)


def run_in_terminal(project: SampleProject, answer: str) -> tuple[int, str]:
    """Run the command with a terminal as its input; return exit code and output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "persona_assets.cli", *SELECTION],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=project.root,
        env=project.environment(),
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=120)
    os.close(ours)
    return process.returncode, out


def test_run_without_a_terminal_refuses_an_expensive_forecast(project: SampleProject) -> None:
    before = project.server.calls.copy()
    process = project.command(*SELECTION)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "This run is forecast to cost" in err
    assert "set PERSONA_RUN_BUDGET or PERSONA_BACKFILL_BUDGET" in err
    assert project.server.calls == before


@pytest.mark.parametrize(("answer", "code", "bought"), [("y", 0, 3), ("n", 1, 0), ("", 1, 0)])
def test_run_in_a_terminal_asks(
    answer: str, code: int, bought: int, project: SampleProject
) -> None:
    before = project.server.calls["text_to_persona"]
    returned, out = run_in_terminal(project, answer)
    assert returned == code, out
    assert re.search(r"Spend up to \d+ US dollars\? \[y/N\]", out)
    assert project.server.calls["text_to_persona"] - before == bought


def test_budget_of_the_settings_asks_nothing(project: SampleProject) -> None:
    project.values["run_budget"] = "1000"
    process = project.command(*SELECTION)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, ""), out
    assert "capped at 1,000.00 US dollars a run" in out


def test_run_from_elsewhere_stops_at_the_cap(fresh: SampleProject) -> None:
    fresh.values["writer"]["price"] = DEAR
    fresh.values["unasked_budget"] = UNASKED
    errors = [run.error for run in fresh.run("+key:text_personas") if run.error]
    assert errors
    assert "The cap of $0.00005 (PERSONA_UNASKED_BUDGET) is reached" in errors[0]
    assert fresh.server.calls == {}


def test_cheap_run_asks_nothing_and_stays_below_the_cap(fresh: SampleProject) -> None:
    fresh.values["writer"]["price"] = CHEAP
    process = fresh.command(*SELECTION)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, ""), out
    assert "capped at 10.0000 US dollars for all runs of a command (PERSONA_UNASKED_BUDGET)" in out


def test_models_of_unknown_price_have_no_cap(fresh: SampleProject) -> None:
    process = fresh.command(*SELECTION)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, ""), out
    assert "capped" not in out
