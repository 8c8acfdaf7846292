"""Draws: the column by whose hash the rows of a table are drawn where a setting limits them.

Rows are drawn by their content, so that a renamed, repacked or divided corpus draws the same rows
and asks nothing new. A table of an earlier version, which drew by ids, keeps to that: another draw
would be bought.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from persona_assets.project import Project
from persona_assets.prompting.prompt import Prompt
from persona_assets.steps.origins import CONTENT

_BY_CONTENT = "draws_by_content"


@dataclass(frozen=True)
class Draw:
    """Draw of a table.

    Attributes:
        by_content: True unless an earlier version drew the table's rows by their ids.
    """

    by_content: bool

    def column(self, content: str, row_id: str) -> str:
        """Return the column whose value is hashed."""
        return content if self.by_content else row_id

    def column_of(self, prompt: Prompt) -> str:
        """Return the column whose value is hashed where origins of a task are drawn."""
        return self.column("persona", "persona_id") if prompt.head.of_personas else CONTENT

    @property
    def decisions(self) -> Mapping[str, float]:
        """The draw as a part of the table's footer."""
        return {_BY_CONTENT: 1.0} if self.by_content else {}


def draw_of(project: Project, asset: str, shard: str) -> Draw:
    """Return the draw of a table: that of its footer, if it exists."""
    footer = project.storage.footer(asset, shard)
    return Draw(footer is None or _BY_CONTENT in footer.decisions)
