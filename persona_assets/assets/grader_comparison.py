"""Group `model`: three graders of the answers of all accuracies, side by side.

The published figure stays that of the setting `equality`; these tables tell how far it depends on
the choice.
"""

from collections.abc import Collection

import dagster as dg
import polars as pl

from persona_assets.asset_names import asset_key
from persona_assets.assets.call_bounds import times
from persona_assets.assets.metadata import picture
from persona_assets.assets.model_calls import materialize_result, open_session
from persona_assets.assets.table_asset import TableAsset, table_asset
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


def grader_verdicts(accuracies: Collection[str]) -> TableAsset:
    """Declare the verdicts of three graders on the answers of all accuracies.

    Args:
        accuracies: Names of the assets with the accuracies of the fine-tuned models.
    """

    @table_asset(
        name="grader_verdicts",
        group="model",
        table=Table(steps.VERDICTS, "answer_id", aggregates=True),
        version=f"{steps.VERSION}.{GRADING_VERSION}",
        prompts=["answer_equality"],
        settings=["judged_answers"],
        calls=lambda bounds: bounds.question_calls(
            times(bounds.settings.judged_answers, 2), "answer_equality"
        ),
        ins={name: dg.AssetIn(asset_key(name)) for name in accuracies},
        description="Answers of all sizes graded by text and by algebra, and some of them by the "
        "judge.",
    )
    def verdicts(
        context: dg.AssetExecutionContext,
        project: dg.ResourceParam[Project],
        models: dg.ResourceParam[Models],
        grader: dg.ResourceParam[Grader],
        **tables: pl.LazyFrame,
    ) -> dg.MaterializeResult[StepResult]:
        with open_session(context, models) as session:
            result = steps.build_grader_verdicts(
                [table.collect() for table in tables.values()],
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

    return verdicts


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
