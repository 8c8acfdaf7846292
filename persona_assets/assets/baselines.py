"""Group `model`: accuracy of models that were not trained here, on the same problems."""

from collections.abc import Collection, Iterator, Mapping

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.assets.call_bounds import CallBounds, plus
from persona_assets.assets.evaluation import (
    READING_VERSION,
    accuracy_calls,
    file_problems,
    file_setting,
)
from persona_assets.assets.measuring import solve
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import TableAsset, table_asset
from persona_assets.benchmarks.base import DEFAULT, Benchmark
from persona_assets.benchmarks.problem_sets import SYNTHETIC_ACCURACY
from persona_assets.ids import VARIANT
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.models import Models
from persona_assets.resources.session import Session, role_endpoint
from persona_assets.settings import BASELINE_ROLE
from persona_assets.steps import evaluation as steps
from persona_assets.steps.measurement import FIGURES, accuracy_sentence
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

BASELINES = "baseline_accuracy"
"""Asset of the accuracies of baselines."""

BASELINE = pl.Schema(
    {
        "baseline": pl.String(),
        "benchmark": pl.String(),
        "model": pl.String(),
        "decoding": pl.String(),
        **FIGURES,
    }
)


def baseline_accuracy(names: Collection[str], sets: Collection[str]) -> TableAsset:
    """Declare the accuracy of the baselines on all problem sets.

    Args:
        names: Names of the baselines, at least one.
        sets: Assets of the fine-tuned models' accuracies, as in `Project.problem_sets`.
    """
    files = [name for name in sets if name != SYNTHETIC_ACCURACY]
    has_synthetic = SYNTHETIC_ACCURACY in sets

    def calls(bounds: CallBounds) -> int | None:
        problems = [file_problems(bounds.project, name) for name in files]
        problems += [bounds.rows("math_test")] if has_synthetic else []
        return plus(
            *(
                accuracy_calls(bounds, n, 1, baseline_prompt(name))
                for name in names
                for n in problems
            )
        )

    @table_asset(
        name=BASELINES,
        group="model",
        table=Table(BASELINE, "baseline", unique=("baseline", "benchmark"), aggregates=True),
        version=f"{steps.VERSION}.{READING_VERSION}",
        prompts=[*map(baseline_prompt, names), "answer_equality"],
        settings=[
            "equality",
            "benchmark_limit",
            "benchmark_draw",
            "evaluation_samples",
            *map(file_setting, files),
        ],
        calls=calls,
        ins={"math_test": dg.AssetIn(asset_key("math_test"))} if has_synthetic else {},
        description="Accuracy of models that were not trained here, such as the base model, on the "
        "same problems; set by PERSONA_BASELINES.",
    )
    def accuracy(
        context: dg.AssetExecutionContext,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        grader: dg.ResourceParam[Grader],
        **tables: pl.LazyFrame,
    ) -> dg.MaterializeResult[StepResult]:
        problems = list(_problems(project, files, tables))
        with open_session(context, models) as session:
            made = [
                _measure(project, session, grader, name, *each)
                for name in names
                for each in problems
            ]
        rows = pl.concat([result.rows for result in made])
        result = StepResult(rows, pl.concat([result.dropped for result in made]))
        return materialize_result(result, session, accuracy=baseline_sentences(rows))

    return accuracy


def baseline_prompt(name: str) -> str:
    """Return the name of the prompt that asks a baseline."""
    return f"evaluation{VARIANT}{BASELINE_ROLE}{name}"


def baseline_sentences(rows: pl.DataFrame) -> str:
    """Return the accuracies of baselines in words, a line per baseline and problem set."""
    return "\n".join(
        f"{name}, {benchmark}: {accuracy_sentence(row)}"
        for (name, benchmark), row in rows.group_by("baseline", "benchmark", maintain_order=True)
    )


def _problems(
    project: Project, files: Collection[str], tables: Mapping[str, pl.LazyFrame]
) -> Iterator[tuple[str, pl.DataFrame, Benchmark]]:
    """Yield each problem set: its name, problems and layout."""
    for table in tables.values():
        yield steps.SYNTHETIC, table.rename({"sample_id": "problem_id"}).collect(), DEFAULT
    for name in files:
        file = project.problem_file(name)
        yield file.name, file.problems(project.settings.benchmark_limit), file.benchmark


def _measure(
    project: Project,
    session: Session,
    grader: Grader,
    name: str,
    benchmark: str,
    problems: pl.DataFrame,
    layout: Benchmark,
) -> StepResult:
    endpoint = role_endpoint(project.settings, f"{BASELINE_ROLE}{name}")
    prompt = project.prompt(baseline_prompt(name))
    labels = {
        "baseline": name,
        "benchmark": benchmark,
        "model": endpoint.identity,
    }
    return solve(problems, prompt, project, session, grader, layout, labels=labels, schema=BASELINE)
