"""The contract of every table: its columns, and which of them link a row to its parent.

A table that `makes` rows gives them their id; one that does not carries rows over from upstream
under the ids they have. The links of the tables that make rows are the edges that `trace` follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from persona_assets.prompting.prompts import PromptError, Prompts
from persona_assets.steps import corpus, diversity, evaluation, hub, math_data, personas, tasks


@dataclass(frozen=True)
class Table:
    """A table's columns; of them `row_id` names a row, `parent` the row it was made from.

    A table that `aggregates` is made of whole tables, not row by row.
    """

    schema: pl.Schema
    row_id: str
    parent: str | None = None
    makes: bool = False
    unique: tuple[str, ...] = ()
    aggregates: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that together are different in every row."""
        return self.unique or (self.row_id,)

    def faulty(self, rows: pl.LazyFrame) -> int:
        """Number of rows whose key is missing or repeats another's."""
        keys = rows.select(self.key).collect()
        return len(keys) - keys.drop_nulls().n_unique()


_HOP = Table(personas.HOP, "persona_id", "parent_id", makes=True)
_FIXED = {
    "raw_corpus": Table(corpus.SCHEMA, "text_id", makes=True),
    "text_personas": Table(personas.TEXT_PERSONAS, "persona_id", "parent_id", makes=True),
    "persona_candidates": Table(personas.CANDIDATES, "persona_id", "parent_id"),
    "lexical_duplicates": Table(hub.DUPLICATES, "persona_id"),
    "lexical_survivors": Table(hub.HUB, "persona_id", "parent_id"),
    "persona_embeddings": Table(hub.EMBEDDINGS, "persona_id"),
    "semantic_duplicates": Table(hub.DUPLICATES, "persona_id"),
    "persona_hub": Table(hub.HUB, "persona_id", "parent_id"),
    "math_solutions": Table(math_data.SOLUTIONS, "solution_id", "sample_id", makes=True),
    "math_train": Table(math_data.TRAIN, "sample_id"),
    "math_test": Table(math_data.TEST, "sample_id"),
    "fine_tuned_model": Table(evaluation.MODEL, "sha256", aggregates=True),
    "synthetic_accuracy": Table(evaluation.ACCURACY, "training_size", aggregates=True),
    "math_accuracy": Table(evaluation.ACCURACY, "training_size", aggregates=True),
    "scaling_curve": Table(
        evaluation.CURVE, "training_size", unique=("benchmark", "training_size"), aggregates=True
    ),
    "persona_pairs": Table(
        diversity.PAIRS, "pair_id", unique=("bucket", "pair_id"), aggregates=True
    ),
    "diversity_report": Table(
        diversity.REPORT, "pair_id", unique=("panel", "bucket", "pair_id"), aggregates=True
    ),
}


_CATALOG = ("materializations", "lineage", "usage", "completions", "links", "held", "quarantine")
"""What the catalog keeps beside a view for each asset."""


def tables(prompts: Prompts) -> Mapping[str, Table]:
    """The table of every asset by its name; a dataset's columns come from its prompt.

    Raises PromptError for a task whose name is taken and for a task that the graph lacks.
    """
    hops = {f"hop_{k}_personas": _HOP for k in range(1, personas.HOPS + 1)}
    folder = prompts.folder / "tasks"
    taken = {*_FIXED, *hops, *_CATALOG, *(file.stem for file in prompts.folder.glob("*.md"))}
    for name in prompts.tasks:
        if name.lower() in taken:
            raise PromptError(f"{folder / name}.md: the name {name} is taken: rename the file")
        taken.add(name.lower())
    if "math_problems" not in prompts.tasks:
        raise PromptError(f"{folder / 'math_problems'}.md: math_solutions needs this task: add it")
    datasets = {
        name: Table(tasks.dataset_schema(prompt), "sample_id", "persona_id", makes=True)
        for name, prompt in prompts.tasks.items()
    }
    return {**_FIXED, **hops, **datasets}
