"""Measuring a model on problems, as the function of an asset does: ask, vote, grade, show.

Belongs here: what accuracies of fine-tuned models and of baselines share. Does not belong here:
assets, see `evaluation` and `baselines`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg
import polars as pl

from persona_assets.assets.model_calls import answer_equality, materialize_result, open_session
from persona_assets.benchmarks.base import DEFAULT, PROBLEMS, Benchmark
from persona_assets.benchmarks.benchmark_file import BenchmarkFile
from persona_assets.project import Project
from persona_assets.prompting.prompt import Prompt
from persona_assets.resources.grader import Grader
from persona_assets.resources.io_manager import preview
from persona_assets.resources.models import Models
from persona_assets.resources.session import Session
from persona_assets.resources.tuned_model import TunedModel
from persona_assets.settings import SettingsError
from persona_assets.steps import evaluation as steps
from persona_assets.steps import measurement
from persona_assets.steps.contamination import refuse_shown
from persona_assets.storage.step_result import StepResult
from persona_assets.training.training_run import TrainingRun

PROMPT = "evaluation@evaluation"
PROMPTS = [PROMPT, "answer_equality"]

SHOWN_IDS = 20
"""Completion ids per outcome in the metadata; the table has all."""


def benchmark_accuracy(
    context: dg.AssetExecutionContext,
    file: BenchmarkFile,
    limit: int | None,
    model: pl.DataFrame,
    project: Project,
    models: Models,
    grader: Grader,
) -> dg.MaterializeResult[StepResult]:
    """Solve problems of a benchmark file with a fine-tuned model and grade its answers.

    Args:
        context: Run of an asset partitioned by training size.
        file: Benchmark.
        limit: Number of problems, drawn by hash; None for all. Its setting, if it has one, belongs
            to the `settings` of the asset's declaration.
        model: Row of `fine_tuned_model`; empty if nothing was trained.
        project: Settings and prompts.
        models: Sessions with the endpoints.
        grader: Algebraic comparison of answers.
    """
    problems = file.problems(limit)
    return measure_accuracy(
        context, file.name, problems, model, project, models, grader, file.benchmark
    )


def measure_accuracy(
    context: dg.AssetExecutionContext,
    name: str,
    problems: pl.DataFrame,
    model: pl.DataFrame,
    project: Project,
    models: Models,
    grader: Grader,
    benchmark: Benchmark = DEFAULT,
) -> dg.MaterializeResult[StepResult]:
    """Solve problems with a fine-tuned model and grade its answers; no model solves none.

    Args:
        context: Run of an asset partitioned by training size.
        name: Name of the problem set, as stored in the table.
        problems: Columns `problem_id`, `problem`, `answer`.
        model: Row of `fine_tuned_model`; empty if nothing was trained.
        project: Settings and prompts.
        models: Sessions with the endpoints.
        grader: Algebraic comparison of answers.
        benchmark: Extraction and grading of answers.
    """
    tuned = TunedModel.from_table(model, project.storage.data_dir)
    prompt = project.prompt(PROMPT)
    labels = {
        "training_size": TrainingRun.of_key(context.partition_key).size,
        "examples": model["examples"][0] if len(model) else None,
        "benchmark": name,
        "model": tuned.sha256 if tuned else "",
    }
    with open_session(context, models, tuned) as session:
        result = solve(
            problems if tuned else pl.DataFrame(schema=PROBLEMS),
            prompt,
            project,
            session,
            grader,
            benchmark,
            labels=labels,
        )
    return materialize_result(result, session, **shown(result.rows))


def solve(
    problems: pl.DataFrame,
    prompt: Prompt,
    project: Project,
    session: Session,
    grader: Grader,
    benchmark: Benchmark,
    *,
    labels: Mapping[str, Any],
    schema: pl.Schema = steps.ACCURACY,
) -> StepResult:
    """Solve problems with the model of a prompt's role; see `steps.evaluate`.

    The row has the columns of `labels`, and `decoding`. Several replies to a problem are compared
    by the benchmark or by algebra, never by a judge.

    Raises:
        ContaminationError: A demonstration of the prompt contains one of the problems.
    """
    if prompt.prompting.shots:
        examples = [str(shot["problem"]) for shot in prompt.shots]
        refuse_shown(problems, str(labels["benchmark"]), examples)
    result = steps.evaluate(
        problems,
        prompt,
        session.complete,
        benchmark.grade or answer_equality(project, grader, session),
        labels=labels,
        extract=benchmark.extract,
        samples=project.settings.evaluation_samples,
        same=benchmark.grade or grader.equal,
        schema=schema,
    )
    # After the calls: only they show whether the endpoint takes a temperature.
    decoding = pl.lit(decoding_of(project, prompt, session)).alias("decoding")
    return replace(result, rows=result.rows.with_columns(decoding))


def shown(rows: pl.DataFrame) -> dict[str, dg.MetadataValue | str]:
    """Return a measurement as metadata: accuracy, groups, and replies without an answer."""
    groups, silent = measurement.readable_groups(rows), measurement.without_answer(rows)
    return {
        "accuracy": measurement.accuracy_sentence(rows),
        "decoding": rows["decoding"][0],
        **({"by_subject_and_level": preview(groups)} if len(groups) else {}),
        **(
            {
                "without_answer": dg.MetadataValue.json(
                    {outcome: ids[:SHOWN_IDS] for outcome, ids in silent.items()}
                )
            }
            if silent
            else {}
        ),
    }


def decoding_of(project: Project, prompt: Prompt, session: Session) -> str:
    """Describe how a prompt's model was asked; see `steps.decoding_name`."""
    samples = project.settings.evaluation_samples
    is_refused = session.leaves_out(prompt.head.role, "temperature")
    temperature = None if is_refused else _temperature(project, prompt)
    return steps.decoding_name(prompt.prompting.shots, temperature, samples)


def check_samples(project: Project, name: str) -> None:
    """Raise SettingsError if several replies per problem would all be the same.

    Args:
        project: Settings and prompts.
        name: Name of the prompt, with the role of the model.
    """
    prompt, samples = project.prompt(name), project.settings.evaluation_samples
    if samples > 1 and _temperature(project, prompt) == 0:
        raise SettingsError(
            f"setting PERSONA_EVALUATION_SAMPLES: at the temperature 0 all {samples} replies of "
            f"the role {prompt.head.role} are the same: set its temperature, such as "
            f"PERSONA_{prompt.head.role.upper()}__SAMPLING__TEMPERATURE=0.7"
        )


def _temperature(project: Project, prompt: Prompt) -> float | None:
    """Return the temperature of a prompt's requests; None for the endpoint's own."""
    endpoint = project.settings.endpoint(prompt.head.role)
    temperature = {**prompt.head.sampling, **endpoint.sampling}.get("temperature")
    return None if temperature is None else float(temperature)
