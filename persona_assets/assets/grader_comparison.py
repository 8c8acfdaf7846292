"""Group `model`: three graders of the answers of all accuracies, side by side.

The published figure stays that of the setting `equality`; these tables tell how far it depends on
the choice.
"""

import dagster as dg
import polars as pl

from persona_assets.assets.call_bounds import times
from persona_assets.assets.metadata import picture
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import table_asset
from persona_assets.grading import VERSION as GRADING_VERSION
from persona_assets.plots.agreement_matrix import draw_agreement_matrix
from persona_assets.project import Project
from persona_assets.resources.grader import Grader
from persona_assets.resources.io_manager import preview
from persona_assets.resources.models import Models
from persona_assets.steps import grader_comparison as steps
from persona_assets.steps import grader_figures as figures
from persona_assets.storage.step_result import StepResult
from persona_assets.tables import Table

SHOWN = 50
"""Number of disagreements in the metadata; all of them are rows of the table."""


@table_asset(
    group="model",
    table=Table(steps.VERDICTS, "answer_id", aggregates=True),
    version=f"{steps.VERSION}.{GRADING_VERSION}",
    prompts=["answer_equality"],
    settings=["judged_answers"],
    calls=lambda bounds: bounds.question_calls(
        times(bounds.settings.judged_answers, 2), "answer_equality"
    ),
)
def grader_verdicts(
    context: dg.AssetExecutionContext,
    synthetic_accuracy: pl.LazyFrame,
    math_accuracy: pl.LazyFrame,
    project: dg.ResourceParam[Project],
    models: dg.ResourceParam[Models],
    grader: dg.ResourceParam[Grader],
) -> dg.MaterializeResult[StepResult]:
    """Answers of all sizes graded by text and by algebra, and some of them by the judge."""
    with open_session(context, models) as session:
        result = steps.build_grader_verdicts(
            (synthetic_accuracy.collect(), math_accuracy.collect()),
            grader.equal,
            project.prompt("answer_equality"),
            session.complete,
            project.settings.judged_answers,
        )
    differing = figures.disagreements(result.rows)
    return materialize_result(
        result,
        session,
        headline=figures.headline(project.settings.equality),
        disagreements=len(differing),
        **({"differing": preview(differing.head(SHOWN))} if len(differing) else {}),
    )


@table_asset(
    group="model",
    table=Table(
        figures.AGREEMENT, "benchmark", unique=("benchmark", "first", "second"), aggregates=True
    ),
    version=figures.VERSION,
)
def grader_agreement(grader_verdicts: pl.LazyFrame) -> dg.MaterializeResult[StepResult]:
    """How often each two graders agree, with Cohen's kappa."""
    result = figures.build_grader_agreement(grader_verdicts.collect())
    return dg.MaterializeResult(
        value=result,
        metadata={
            **picture("matrix", draw_agreement_matrix(result.rows, steps.GRADERS, figures.ALL)),
            "agreement": "\n".join(figures.agreement_sentences(result.rows)),
        },
    )


@table_asset(
    group="model",
    table=Table(
        figures.ACCURACIES,
        "model",
        unique=("benchmark", "training_size", "model", "grader"),
        aggregates=True,
    ),
    version=figures.VERSION,
)
def grader_accuracy(
    grader_verdicts: pl.LazyFrame, project: dg.ResourceParam[Project]
) -> dg.MaterializeResult[StepResult]:
    """Accuracy that each grader would give, beside the published one."""
    result = figures.build_grader_accuracy(grader_verdicts.collect())
    return dg.MaterializeResult(
        value=result,
        metadata={
            "headline": figures.headline(project.settings.equality),
            "accuracies": "\n".join(figures.accuracy_sentences(result.rows)),
        },
    )
