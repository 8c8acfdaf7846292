"""Accuracy on AIME beside MATH: one new asset, declared in one file.

Put the module on the Python path and name it in an entry point of your package::

    [project.entry-points."persona_assets.assets"]
    aime = "aime_accuracy"

`aime.jsonl` holds one {"problem": ..., "answer": ...} per line. A file in a known layout needs no
code: `PERSONA_BENCHMARKS` measures it beside the others, and `scaling_curve` draws it. An asset of
your own is for a measurement with a number of problems, a partition or a grading that no setting
describes; `scaling_curve` does not know it. A layout of your own is a subclass of
`persona_assets.benchmarks.base.Benchmark`, named in the group "persona_assets.benchmarks".
"""

from pathlib import Path

import dagster as dg
import polars as pl

from persona_assets.assets.evaluation import accuracy_calls
from persona_assets.assets.measuring import PROMPTS, benchmark_accuracy
from persona_assets.assets.table_asset import table_asset
from persona_assets.benchmarks.benchmark_file import BenchmarkFile
from persona_assets.partitions import training_sizes
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.models import Models
from persona_assets.steps import evaluation as steps
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

AIME = "data/benchmarks/aime.jsonl"
PROBLEMS = 30


@table_asset(
    group="model",
    table=Table(steps.ACCURACY, "training_size", aggregates=True),
    version=steps.VERSION,
    prompts=PROMPTS,
    settings=["equality", "evaluation_samples"],
    files=[AIME],
    calls=lambda bounds: accuracy_calls(bounds, PROBLEMS),
    partitions=training_sizes,
)
def aime_accuracy(
    context: dg.AssetExecutionContext,
    fine_tuned_model: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
    grader: dg.ResourceParam[Grader],
) -> dg.MaterializeResult[StepResult]:
    """Accuracy on 30 problems of the American Invitational Mathematics Examination."""
    file, model = BenchmarkFile(Path(AIME)), fine_tuned_model.collect()
    return benchmark_accuracy(context, file, PROBLEMS, model, project, models, grader)
