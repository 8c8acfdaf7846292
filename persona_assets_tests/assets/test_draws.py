"""A limit draws by content, and by ids where an earlier version of a table did."""

import polars as pl
import pytest

from persona_assets.assets.draws import draw_of
from persona_assets.project import Project
from persona_assets.storage.footer import Footer
from persona_assets.storage.step_result import StepResult
from persona_assets_tests.sample_project import TEXTS, SampleProject

SHARD = next(iter(TEXTS))


@pytest.mark.parametrize(
    ("decisions", "column"), [({}, "persona_id"), ({"draws_by_content": 1.0}, "persona")]
)
def test_table_keeps_its_draw(
    decisions: dict[str, float], column: str, fresh: SampleProject
) -> None:
    project = Project(fresh.settings)
    footer = Footer(
        asset="tools",
        shard=SHARD,
        run_id="r",
        code_version="c",
        data_version="d",
        decisions=decisions,
    )
    project.storage.write(StepResult(pl.DataFrame({"sample_id": ["s"]})), footer)
    assert draw_of(project, "tools", SHARD).column("persona", "persona_id") == column
    assert draw_of(project, "tools", SHARD).decisions == decisions


def test_new_table_draws_by_content(fresh: SampleProject) -> None:
    assert draw_of(Project(fresh.settings), "tools", SHARD).by_content


def test_footers_of_drawn_tables_hold_the_draw(finished: SampleProject) -> None:
    for asset in ("text_personas", "hop_1_personas", "tools", "math_solutions"):
        assert "draws_by_content" in finished.storage.existing_footer(asset, SHARD).decisions
