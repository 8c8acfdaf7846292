"""Two people mark a draw in spreadsheets, and the report is read back beside the paper's."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from persona_assets.planning.validity import forecast_judge, read_sheets
from persona_assets.storage.storage import VALIDITY_JUDGE
from persona_assets_tests.sample_project import SampleProject

Command = Callable[..., tuple[int, str, str]]
TASK = "math_problems"


def mark(path: Path, *marks: str, delimiter: str = ",") -> None:
    """Fill in a sheet as a person does: marks from the top, the last one for the rest."""
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    place = rows[0].index("valid")
    for number, row in enumerate(rows[1:]):
        row[place] = marks[min(number, len(marks) - 1)]
        row[place + 1] = "=the width is missing, says a rater" if row[place] == "no" else ""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    path.write_bytes(text.getvalue().encode("utf-8-sig"))


def write(command: Command, project: SampleProject, *options: str) -> str:
    code, out, err = command(project, "validity", TASK, "--to", "anna.csv", "ben.csv", *options)
    assert (code, err) == (0, ""), out
    return out


def unique_problems(project: SampleProject) -> pl.DataFrame:
    shards = project.storage.shards(f"unique_{TASK}")
    return pl.concat(project.rows(f"unique_{TASK}", shard) for shard in shards)


def test_marks_become_a_report_beside_the_paper(project: SampleProject, command: Command) -> None:
    out = write(command, project, "-n", "6")
    assert f"6 samples of unique_{TASK}" in out
    sheet = pl.read_csv(project.root / "anna.csv")
    assert sheet.columns == ["id", "problem", "solution", "answer", "valid", "note"]
    problems = dict(unique_problems(project).select("sample_id", "problem").iter_rows())
    assert {row_id: problems[row_id] for row_id in sheet["id"]} == dict(
        sheet.select("id", "problem").iter_rows()
    )
    mark(project.root / "anna.csv", "no", "no", "yes")
    mark(project.root / "ben.csv", "yes", "no", "yes", delimiter=";")
    code, out, err = command(project, "validity", TASK, "--from", "anna.csv", "ben.csv")
    assert (code, err) == (0, "")
    assert "66.7 %" in out
    assert "96.5 % (93.0 to 98.3, n = 200)" in out
    assert "anna and ben: agreement 83.3 %" in out
    assert "Cohen's kappa 0.57" in out
    assert "1 disagreement\n" in out
    assert "anna: no  =the width is missing" in out
    assert project.server.asked_of.total() == 0
    [folder] = (project.data / "validity").glob("*/*")
    ratings = pl.read_parquet(folder / "ratings.parquet")
    assert ratings.group_by("rater").len().sort("rater").rows() == [("anna", 6), ("ben", 6)]
    report = json.loads((folder / "report.json").read_text())
    assert report["agreed"]["correct"] == 4
    about = json.loads((folder / "draw.json").read_text())
    assert about["versions"] == {
        table.shard: table.data_version for table in project.storage.shard_tables(f"unique_{TASK}")
    }
    assert command(project, "catalog")[0] == 0
    code, out, err = command(project, "trace", sheet["id"][0])
    assert (code, err) == (0, "")


def test_unfinished_sheet_is_counted_and_told(project: SampleProject, command: Command) -> None:
    write(command, project, "-n", "4")
    mark(project.root / "anna.csv", "yes", "", "yes")
    mark(project.root / "ben.csv", "yes")
    code, out, _ = command(project, "validity", TASK, "--from", "anna.csv", "ben.csv")
    assert code == 0
    assert "anna.csv: no mark in row 3" in out
    assert "n = 3" in out
    code, out, _ = command(project, "validity", TASK, "--from", "ben.csv")
    assert code == 0
    assert "kappa" not in out


def test_sheet_with_marks_is_never_overwritten(project: SampleProject, command: Command) -> None:
    write(command, project, "-n", "4")
    before = (project.root / "anna.csv").read_bytes()
    code, _, err = command(project, "validity", TASK, "--to", "new.csv", "anna.csv")
    assert code == 1
    assert "anna.csv exists and may hold a rater's marks" in err
    assert not (project.root / "new.csv").exists()
    assert (project.root / "anna.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tolls", "--to", "a.csv"], "did you mean tools?"),
        ([TASK, "--to", "a.csv", "sub/a.csv"], "a is taken: rename a file"),
        ([TASK, "--to", "judge.csv"], "judge is taken"),
        ([TASK, "--to", "a.csv", "--judge"], "--judge goes with --from"),
        (["instructions", "--to", "a.csv"], "a draw needs rows of unique_instructions"),
        ([TASK, "--from", "nowhere.csv"], "nowhere.csv"),
        ([TASK, "--from", "other.csv"], "no draw of the task math_problems has these ids"),
    ],
)
def test_mistake_is_a_sentence(
    project: SampleProject, command: Command, arguments: list[str], words: str
) -> None:
    shutil.rmtree(project.data / "tables" / "unique_instructions")
    (project.root / "other.csv").write_text("id,problem,valid\nzz,What is 1 + 1?,yes\n")
    code, _, err = command(project, "validity", *arguments)
    assert code == 1
    assert words in err
    assert err.count("\n") == 1


def test_edited_problem_and_foreign_row_are_refused(
    project: SampleProject, command: Command
) -> None:
    write(command, project, "-n", "4")
    mark(project.root / "anna.csv", "yes")
    path = project.root / "ben.csv"
    path.write_text(path.read_text("utf-8-sig").replace("apples", "pears"))
    code, _, err = command(project, "validity", TASK, "--from", "anna.csv", "ben.csv")
    assert code == 1
    assert "ben.csv cannot be counted, rows 2, 3, 4, 5: a text that is not the drawn one" in err
    path.write_text((project.root / "anna.csv").read_text("utf-8-sig") + '"zz","x","","","no",""\n')
    code, _, err = command(project, "validity", TASK, "--from", "anna.csv", "ben.csv")
    assert code == 1
    assert "row 6: an id that is not in the draw" in err


def test_judge_is_the_third_rater_and_paid_for_once(
    project: SampleProject, command: Command
) -> None:
    project.values["judge"]["price"] = {"input": "1", "output": "2"}
    write(command, project, "-n", "5")
    mark(project.root / "anna.csv", "yes")
    mark(project.root / "ben.csv", "no", "yes")
    arguments = ("validity", TASK, "--from", "anna.csv", "ben.csv", "--judge")
    code, out, err = command(project, *arguments)
    assert (code, err) == (0, ""), out
    assert "judge: 5 calls; at most 0.0" in out
    assert "US dollars without repeated calls" in out
    bought = project.server.calls[f"{TASK}_rubric"]
    assert bought == 5
    assert "anna and judge: agreement" in out
    assert "ben and judge: agreement" in out
    code, again, _ = command(project, *arguments)
    assert code == 0
    assert "judge: 0 calls" in again
    assert project.server.calls[f"{TASK}_rubric"] == bought
    assert out.partition("rater")[2] == again.partition("rater")[2]
    code, cost, _ = command(project, "cost")
    assert code == 0
    [line] = [line for line in cost.splitlines() if line.startswith(VALIDITY_JUDGE)]
    assert line.split()[1] == "5"
    # The task's own judge asks the same.
    project.values["tasks"] = {TASK: {**project.values["tasks"][TASK], "judge": 1.0}}
    assert [run.error for run in project.run(f"key:judged_{TASK}") if run.error] == []
    problems = len(unique_problems(project))
    assert project.server.calls[f"{TASK}_rubric"] == problems


def test_catalog_keeps_the_view_of_a_further_benchmark(
    project: SampleProject, command: Command
) -> None:
    file = project.root / "nuts.jsonl"
    file.write_text('{"question": "What is 3 * 4?", "answer": "3 * 4 #### 12"}\n')
    project.values["benchmarks"] = ["synthetic", str(file)]
    assert [run.error for run in project.run("key:nuts_accuracy") if run.error] == []
    write(command, project, "-n", "2")
    mark(project.root / "anna.csv", "yes")
    assert command(project, "validity", TASK, "--from", "anna.csv", "--judge")[0] == 0
    rows = project.catalog.query("SELECT benchmark FROM nuts_accuracy")
    assert set(rows["benchmark"]) == {"nuts"}


def test_dear_judge_is_not_asked_without_agreement(
    project: SampleProject, command: Command
) -> None:
    project.values["judge"]["price"] = {"input": "10", "output": "20"}
    project.values["unasked_budget"] = "0.001"
    write(command, project, "-n", "3")
    draw, _ = read_sheets(project.project, TASK, [project.root / "anna.csv"])
    forecast = forecast_judge(project.project, draw)
    assert forecast.calls == 3
    assert forecast.most is not None
    assert forecast.most > 0.001
    code, _, err = command(project, "validity", TASK, "--from", "anna.csv", "--judge")
    assert code == 1
    assert "Nothing was sent" in err
    assert project.server.asked_of.total() == 0


def test_task_without_a_rubric_has_no_judge(project: SampleProject, command: Command) -> None:
    (project.prompts / "rubrics" / f"{TASK}.md").unlink()
    write(command, project, "-n", "3")
    code, _, err = command(project, "validity", TASK, "--from", "anna.csv", "--judge")
    assert code == 1
    assert f"the task {TASK} has no judge: write" in err


def test_samples_before_the_judge_can_be_drawn(project: SampleProject, command: Command) -> None:
    project.values["tasks"] = {TASK: {**project.values["tasks"][TASK], "judge": 1.0}}
    assert [run.error for run in project.run(f"key:judged_{TASK}") if run.error] == []
    out = write(command, project)
    assert f"(all that judged_{TASK} holds)" in out
    for name in ("anna.csv", "ben.csv"):
        mark(project.root / name, "yes")
    code, out, _ = command(project, "validity", TASK, "--from", "anna.csv", "ben.csv", "--judge")
    assert code == 0
    assert "judge: 0 calls" in out
    assert "The judge accepted these samples before they were drawn" in out
    code, out, _ = command(project, "validity", TASK, "--to", "all.csv", "--before-judge")
    assert code == 0
    accepted = len(pl.read_csv(project.root / "anna.csv"))
    assert len(pl.read_csv(project.root / "all.csv")) == len(unique_problems(project)) > accepted
