"""The command `validity`: sheets of samples for raters, and the report on their marks."""

import argparse
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from rich.markup import escape

from persona_assets.assets.graph import project_assets, table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.generation import Usage
from persona_assets.generation.journal.journal import compact
from persona_assets.number_format import format_money, format_price, plural
from persona_assets.planning import validity
from persona_assets.planning.cost import refresh_catalog
from persona_assets.planning.estimate import Interval
from persona_assets.planning.plan import Forecast
from persona_assets.plots.pictures import clean_label
from persona_assets.project import Project
from persona_assets.resources.models import Models
from persona_assets.resources.validity_folder import RatedDraw, ValidityFolder
from persona_assets.settings import Settings
from persona_assets.steps.rating_sheet import Rating
from persona_assets.steps.validity import (
    JUDGE,
    NUMBER,
    ValidityError,
    ValidityReport,
    as_texts,
    summarise,
)
from persona_assets.storage.storage import VALIDITY_JUDGE
from persona_assets.terminal.figures import OUT, figure_table
from persona_assets.terminal.spending import agree_to_forecast, describe_caps

_TEXT = 160
"""Characters of a text that a line shows."""

_SHOWN = 50
"""Number of disagreements that are printed."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of a parser."""
    parser = commands.add_parser(
        "validity", help="have people mark a task's samples as valid, and count their marks"
    )
    parser.add_argument("task", metavar="TASK", help="name of a file in prompts/tasks, without .md")
    files = parser.add_mutually_exclusive_group(required=True)
    files.add_argument(
        "--to", nargs="+", type=Path, metavar="FILE.csv", help="write a sheet for each rater"
    )
    files.add_argument(
        "--from",
        dest="sheets",
        nargs="+",
        type=Path,
        metavar="FILE.csv",
        help="count the marks in the sheet of each rater",
    )
    parser.add_argument(
        "-n", "--number", type=_positive, default=NUMBER, help=f"samples (default: {NUMBER})"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other samples")
    parser.add_argument(
        "--before-judge",
        action="store_true",
        help="draw from all unique samples, those that the task's judge drops included",
    )
    parser.add_argument(
        "--judge", action="store_true", help="with --from: ask the task's judge as a further rater"
    )
    parser.set_defaults(command=_validity)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of at least 1")
    return int(text)


def _validity(options: argparse.Namespace) -> int:
    settings = Settings.load()
    project = Project(settings)
    if options.to:
        if options.judge:
            raise ValidityError("--judge goes with --from: the judge rates the sheets' samples")
        draw = validity.write_sheets(
            project,
            options.task,
            options.to,
            options.number,
            options.seed,
            judged=not options.before_judge,
        )
        _print_draw(project, draw, options.to, options.number)
        return 0
    draw, ratings = validity.read_sheets(project, options.task, options.sheets)
    people = list(ratings)
    notes = [validity.missing_marks(ratings[path.stem], path) for path in options.sheets]
    if options.judge:
        ratings[JUDGE] = _ask(project, draw)
    report = summarise(ratings, people)
    folder = ValidityFolder(settings.data_dir, options.task)
    place = folder.save_report(draw, ratings, report.as_json())
    for note in filter(None, notes):
        OUT.print(note, soft_wrap=True, markup=False)
    _print_report(draw, ratings, report)
    OUT.print(f"\nMarks and figures: {place}", soft_wrap=True, markup=False)
    return 0


def _ask(project: Project, draw: RatedDraw) -> dict[str, Rating]:
    """Tell the cost of the judge, ask where it is high, and return its ratings."""
    settings = project.settings
    forecast = validity.forecast_judge(project, draw)
    price = (
        "unknown price"
        if forecast.most is None
        else f"at most {format_money(forecast.most)} US dollars without repeated calls"
    )
    caps = describe_caps(settings) if forecast.calls else ""
    parts = [plural(forecast.calls, "call"), price, *([caps] if caps else [])]
    OUT.print(f"judge: {'; '.join(parts)}", soft_wrap=True)
    with closing(Models(settings, project.storage)) as models:
        if forecast.calls:
            models.check({"judge"})
            models.agreed = agree_to_forecast(_as_forecast(forecast), settings)
        ratings, usage = validity.ask_judge(project, models, draw, lambda _: None)
    _print_usage(usage)
    storage = project.storage
    catalog = Catalog(storage, table_contracts(project_assets(project)))
    # The catalog counts the calls while they are in the journal, and later where they are moved.
    refresh_catalog(catalog, storage)
    compact(storage.journal(VALIDITY_JUDGE, None), storage.completions(VALIDITY_JUDGE, None))
    return ratings


def _as_forecast(judge: validity.JudgeForecast) -> Forecast:
    calls = Interval(judge.calls, 0, judge.calls)
    most = None if judge.most is None else float(judge.most)
    cost = None if most is None else Interval(most, 0, most)
    return Forecast(VALIDITY_JUDGE, 1, calls=calls, cost=cost, most=judge.calls)


def _print_draw(project: Project, draw: RatedDraw, paths: list[Path], asked: int) -> None:
    found = len(draw.samples)
    fewer = f" (all that {draw.table} holds)" if found < asked else ""
    OUT.print(
        f"{plural(found, 'sample')}{fewer} of {draw.table} in {', '.join(map(str, paths))}: write "
        "yes or no into the column valid of each row, each rater alone, then "
        f"persona-assets validity {draw.task} --from {' '.join(map(str, paths))}",
        soft_wrap=True,
        markup=False,
    )
    place = ValidityFolder(project.settings.data_dir, draw.task).path(draw)
    OUT.print(f"The draw: {place}", soft_wrap=True, markup=False)


def _print_report(
    draw: RatedDraw, ratings: dict[str, dict[str, Rating]], report: ValidityReport
) -> None:
    table = figure_table("rater", "valid", left=1)
    for rater, share in report.shares.items():
        table.add_row(escape(rater), str(share))
    people = [rater for rater in ratings if rater != JUDGE]
    if len(people) > 1:
        table.add_row("all people", str(report.agreed), style="bold")
    OUT.print(f"[bold]{escape(draw.task)}[/bold]: {plural(report.drawn, 'sample')} drawn")
    OUT.print(table)
    OUT.print(report.beside_the_paper(), soft_wrap=True)
    for (first, second), counts in report.pairs.items():
        yes = counts.prevalence
        marks = "" if yes is None else f"; {100 * yes:.1f} % of the marks are yes"
        OUT.print(f"{first} and {second}: {counts}{marks}", soft_wrap=True, markup=False)
    if any((pair.prevalence or 0.5) > 0.9 for pair in report.pairs.values()):
        OUT.print(
            "Where nearly all samples are valid, kappa is low however rarely raters differ: read "
            "it beside agreement and AC1.",
            soft_wrap=True,
        )
    if JUDGE in ratings and draw.table.startswith("judged_"):
        OUT.print(
            "The judge accepted these samples before they were drawn: draw with --before-judge to "
            "compare it with people.",
            soft_wrap=True,
        )
    _print_disagreements(draw, ratings, report)


def _print_disagreements(
    draw: RatedDraw, ratings: dict[str, dict[str, Rating]], report: ValidityReport
) -> None:
    OUT.print(f"\n{plural(len(report.disagreements), 'disagreement')}")
    rows = {row["sample_id"]: row for row in draw.samples.iter_rows(named=True)}
    for sample_id in report.disagreements[:_SHOWN]:
        text = " ".join(as_texts(rows[sample_id], draw.columns).values())
        OUT.print(f"{sample_id}  {clean_label(text, _TEXT)}", soft_wrap=True, markup=False)
        for rater, of_rater in ratings.items():
            mark = {True: "yes", False: "no", None: "-"}[of_rater[sample_id].valid]
            note = clean_label(of_rater[sample_id].note, _TEXT)
            OUT.print(f"    {rater}: {mark}  {note}", soft_wrap=True, markup=False)
    if (more := len(report.disagreements) - _SHOWN) > 0:
        OUT.print(f"and {more} more in ratings.parquet")


def _print_usage(usage: Usage) -> None:
    cost: Decimal | None = None if usage.unpriced else usage.cost
    OUT.print(
        f"judge: {plural(usage.calls, 'call')}, {usage.replayed + usage.reused} answered before, "
        f"US dollars: {format_price(cost, usage.unpriced)}"
    )
