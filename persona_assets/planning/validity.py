"""Sheets for raters of a task's samples, and their marks read back.

Belongs here: tables and files of a project. Does not belong here: text of a sheet
(`steps/rating_sheet.py`) and figures (`steps/validity.py`).
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import polars as pl

from persona_assets.assets.judged import finished_samples
from persona_assets.assets.math_solutions import PROBLEMS
from persona_assets.assets.samples import UNIQUE
from persona_assets.generation import Answer, Request, Usage, pricing, to_call
from persona_assets.generation.journal.paid_index import PaidIndex
from persona_assets.project import Project
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import RUBRICS
from persona_assets.resources.models import Models
from persona_assets.resources.session import role_endpoint
from persona_assets.resources.validity_folder import RatedDraw, ValidityFolder
from persona_assets.settings import nearest
from persona_assets.steps.rating_sheet import (
    Rating,
    read_sheet,
    row_list,
    sheet_bytes,
    sheet_ids,
)
from persona_assets.steps.validity import (
    JUDGE,
    SHARD,
    ValidityError,
    as_texts,
    draw_samples,
    judge_samples,
    rated_columns,
)
from persona_assets.storage.storage import VALIDITY_JUDGE

SOLVED = ("solution", "answer")
"""Columns of the first solver that a rater of math problems reads, where there is a solution."""


@dataclass(frozen=True)
class JudgeForecast:
    """Calls of the judge that no journal answers.

    Attributes:
        calls: Number of calls, without repeated ones.
        most: US dollars that they cost at most; None if a price is unknown.
    """

    calls: int
    most: Decimal | None


def write_sheets(
    project: Project, task: str, paths: Sequence[Path], number: int, seed: int, *, judged: bool
) -> RatedDraw:
    """Draw samples of a task and write a sheet of them for each rater.

    Args:
        project: Prompts, settings and tables.
        task: Name of the task.
        paths: Files to write.
        number: Number of samples.
        seed: Seed of the draw.
        judged: Draw from the samples that the task's judge accepts; otherwise from those before.

    Raises:
        ValidityError: No such task or no samples, a file exists, or two have the same name.
    """
    _check_task(project, task)
    _raters(paths)
    if existing := [path for path in paths if path.exists()]:
        raise ValidityError(
            f"{existing[0]} exists and may hold a rater's marks: name another file, or move it away"
        )
    draw = _draw(project, task, number, seed, judged=judged)
    ValidityFolder(project.settings.data_dir, task).save(draw)
    rows = ({"id": row_id, **row} for row_id, row in _texts(draw).items())
    sheet = sheet_bytes(rows, [*draw.columns, *draw.shown])
    for path in paths:
        path.write_bytes(sheet)
    return draw


def _draw(project: Project, task: str, number: int, seed: int, *, judged: bool) -> RatedDraw:
    """Draw samples of a task, with the solutions of math problems."""
    table = finished_samples(project.prompts, project.settings.tasks, task)
    table = table if judged else f"{UNIQUE}{task}"
    shards = project.storage.shard_tables(table)
    if not any(shard.rows for shard in shards):
        raise ValidityError(
            f"a draw needs rows of {table}, and there is none yet: persona-assets run --select "
            f"'+key:{table}'"
        )
    columns = rated_columns(
        shards[0].scan().collect_schema().names(),
        project.prompts.tasks[task],
        project.prompts.rubric(task),
    )
    rows = (it.scan().with_columns(pl.lit(it.shard).alias(SHARD)).collect() for it in shards)
    samples = draw_samples(rows, columns, number, seed)
    shown = SOLVED if task == PROBLEMS and project.storage.shards("math_solutions") else ()
    if shown:
        samples = samples.join(
            _solutions(project, samples), on="sample_id", how="left", maintain_order="left"
        )
    versions = {it.shard: it.data_version for it in shards}
    return RatedDraw(task, table, versions, seed, tuple(columns), shown, samples)


def read_sheets(
    project: Project, task: str, paths: Sequence[Path]
) -> tuple[RatedDraw, dict[str, dict[str, Rating]]]:
    """Read the sheets of raters.

    Returns:
        Draw of the sheets, and the ratings by rater, who has the name of the file, and sample id.

    Raises:
        ValidityError: No such task, no draw of these sheets, or two files have the same name.
        RatingSheetError: A sheet cannot be counted.
    """
    _check_task(project, task)
    raters = _raters(paths)
    contents = {rater: path.read_bytes() for rater, path in raters.items()}
    ids = {rater: sheet_ids(str(raters[rater]), content) for rater, content in contents.items()}
    draw = ValidityFolder(project.settings.data_dir, task).find(
        {row_id for of_rater in ids.values() for row_id in of_rater}
    )
    if draw is None:
        raise ValidityError(
            f"{', '.join(map(str, paths))}: no draw of the task {task} has these ids: write a "
            f"sheet by persona-assets validity {task} --to FILE.csv, in this project"
        )
    texts = _texts(draw)
    return draw, {
        rater: read_sheet(str(raters[rater]), content, texts, draw.columns)
        for rater, content in contents.items()
    }


def forecast_judge(project: Project, draw: RatedDraw) -> JudgeForecast:
    """Forecast the calls that `ask_judge` would send, without a call.

    Raises:
        ValidityError: The task has no rubric.
    """
    index = PaidIndex(*project.storage.paid_folders)
    # In trouble the index is empty or older: the forecast is then too high.
    with suppress(OSError):
        index.refresh()
    costs: list[Decimal | None] = []

    def complete(requests: Iterable[Request]) -> Iterator[Answer]:
        for request in requests:
            endpoint = role_endpoint(project.settings, request.role)
            call = to_call(request, endpoint)
            if not index.tables(call.key):
                costs.append(pricing(endpoint).most(call))
            yield Answer("", "", "error", "not sent", None, "")

    judge_samples(draw.task, draw.samples, _rubric(project, draw.task), complete)
    known = [cost for cost in costs if cost is not None]
    most = sum(known, Decimal(0)) if len(known) == len(costs) else None
    return JudgeForecast(len(costs), most)


def ask_judge(
    project: Project, models: Models, draw: RatedDraw, report: Callable[[str], None]
) -> tuple[dict[str, Rating], Usage]:
    """Let the judge of a task rate a draw; answers that a journal holds are not bought again.

    Raises:
        ValidityError: The task has no rubric.
        EndpointError: As a run of the task.
    """
    rubric = _rubric(project, draw.task)
    run_id = f"validity-{uuid.uuid4()}"
    with models.session(VALIDITY_JUDGE, None, run_id, report) as session:
        ratings = judge_samples(draw.task, draw.samples, rubric, session.complete)
        usage = session.usage + session.probe_usage
    return {row_id: ratings[row_id] for row_id in draw.samples["sample_id"]}, usage


def missing_marks(ratings: Mapping[str, Rating], path: Path) -> str:
    """Return a sentence on the rows without a mark; "" if all samples are marked."""
    rows = sheet_ids(str(path), path.read_bytes())
    numbers = [
        rows[row_id] for row_id in ratings if row_id in rows and ratings[row_id].valid is None
    ]
    removed = len(ratings.keys() - rows.keys())
    parts = [f"no mark in {row_list(sorted(numbers))}"] if numbers else []
    parts += [f"{removed} rows removed"] if removed else []
    return f"{path}: {', '.join(parts)}" if parts else ""


def _texts(draw: RatedDraw) -> dict[str, dict[str, str]]:
    return {
        row["sample_id"]: as_texts(row, (*draw.columns, *draw.shown))
        for row in draw.samples.iter_rows(named=True)
    }


def _solutions(project: Project, samples: pl.DataFrame) -> pl.DataFrame:
    wanted = (
        pl.col("sample_id").is_in(samples["sample_id"].implode()),
        pl.col("solver") == "assistant",
    )
    tables = project.storage.shard_tables("math_solutions")
    return pl.concat(
        [it.scan().filter(*wanted).select("sample_id", *SOLVED).collect() for it in tables]
    )


def _check_task(project: Project, task: str) -> None:
    if task not in project.prompts.tasks:
        raise ValidityError(
            f"no task is named {task!r}{nearest(task, project.prompts.tasks)}; there are "
            f"{', '.join(sorted(project.prompts.tasks))}"
        )


def _rubric(project: Project, task: str) -> Callable[[str], Prompt]:
    if project.prompts.rubric(task) is None:
        raise ValidityError(
            f"the task {task} has no judge: write {project.prompts.folder / RUBRICS / task}.md, as "
            "docs/quality describes, or leave out --judge"
        )
    return lambda shard: project.prompt(f"{RUBRICS}{task}", shard)


def _raters(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the files by the name of their rater."""
    counts = Counter(path.stem for path in paths)
    for rater, count in counts.items():
        if count > 1 or rater.casefold() == JUDGE:
            raise ValidityError(
                f"a rater has the name of the file, and {rater} is taken: rename a file"
            )
    return {path.stem: path for path in paths}
