"""Choice of the personas that a task asks: by hop, relation, language, words, meaning.

A choice depends on the rows alone, not on their order or on other shards. Draws (steps/tasks.py)
follow it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import polars as pl

from persona_assets.dedup.text.words import words
from persona_assets.languages import UNKNOWN
from persona_assets.settings import Task

if TYPE_CHECKING:
    import numpy as np

Cosines = Callable[[pl.DataFrame], list[float]]
"""Cosine of each row's persona to a description."""


@dataclass(frozen=True)
class Choice:
    """Chosen personas of a shard.

    Attributes:
        personas: Chosen rows of the hub, in its order.
        told: Sentence on the choice, such as `3 of 9 personas: hops 0, language en`.
    """

    personas: pl.DataFrame
    told: str


def choose_personas(hub: pl.DataFrame, task: Task, cosines: Cosines | None = None) -> Choice:
    """Choose the personas of a shard that a task may ask; all, unless its settings choose.

    Args:
        hub: Rows of `persona_hub`.
        task: Settings of the task; a persona has to meet all that are set.
        cosines: Cosines of personas to the description; needed where the task has one.

    Raises:
        ValueError: The task has a description, and there are no cosines.
    """
    chosen = hub
    told: list[str] = []
    columns: tuple[tuple[str, tuple[Any, ...] | None, Callable[[Any, Any], bool]], ...] = (
        ("hop", task.hops, _is_equal),
        ("relation", task.relations, _has_words),
        ("language", task.languages, _has_language),
        ("licence", task.licences, _fits),
        ("source", task.sources, _fits),
    )
    for column, values, matches in columns:
        if values is not None:
            listed = ", ".join(map(str, values))
            told.append(f"{column}{'s' if len(values) > 1 else ''} {listed or 'none'}")
            present = chosen[column].unique().to_list()
            kept = [
                value
                for value in present
                if value is not None and any(matches(value, one) for one in values)
            ]
            chosen = chosen.filter(pl.col(column).is_in(kept))
    if task.words is not None:
        told.append(f"words '{task.words}'")
        has_words = [_meets(persona, task.words) for persona in chosen["persona"]]
        chosen = chosen.filter(pl.Series(has_words, dtype=pl.Boolean))
    if task.like is not None:
        if cosines is None:
            raise ValueError("a choice by meaning needs cosines")
        told.append(_told_meaning(task))
        chosen = _nearest(chosen, task, cosines(chosen))
    counts = f"{len(chosen):,} of {len(hub):,} personas"
    return Choice(chosen, f"{counts}: {', '.join(told)}" if told else counts)


def cosines_to(vectors: pl.DataFrame, described: "np.ndarray") -> Cosines:
    """Return the cosines of personas by their vectors.

    Args:
        vectors: Rows of `persona_embeddings`.
        described: Unit vector of the description, shape (dimensions,).
    """

    def cosines(personas: pl.DataFrame) -> list[float]:
        rows = personas.select("persona_id").join(
            vectors.select("persona_id", "vector"), "persona_id", how="left", maintain_order="left"
        )["vector"]
        return [_cosine(row, described) for row in rows.to_list()]

    return cosines


def _cosine(vector: Sequence[float] | None, described: "np.ndarray") -> float:
    import numpy as np

    if not vector:
        return 0.0
    # Rounded: the order of additions differs between machines.
    return round(float(np.asarray(vector, np.float64) @ described.astype(np.float64)), 6)


def _nearest(personas: pl.DataFrame, task: Task, cosines: list[float]) -> pl.DataFrame:
    column = pl.Series("_cosine", cosines, pl.Float64)
    measured = personas.with_columns(column).with_row_index("_row")
    if task.similarity is not None:
        measured = measured.filter(pl.col("_cosine") >= task.similarity)
    if task.nearest is not None:
        by = ["_cosine", "persona", "persona_id"]
        measured = measured.sort(by, descending=[True, False, False]).head(task.nearest)
    return measured.sort("_row").drop("_cosine", "_row")


def _told_meaning(task: Task) -> str:
    bounds: list[str] = []
    if task.similarity is not None:
        bounds.append(f"above {task.similarity:g}")
    if task.nearest is not None:
        bounds.append(f"the {task.nearest:,} nearest")
    return f"like '{task.like}' {', '.join(bounds)}"


def _fits(value: str, pattern: str) -> bool:
    """Compare with a pattern in which `*` alone is special.

    >>> _fits("web/a[1]", "web/*"), _fits("a[1]", "a[1]"), _fits("ab", "a?")
    (True, True, False)
    """
    return fnmatchcase(value, pattern.replace("[", "[[]").replace("?", "[?]"))


def _is_equal(value: object, wanted: object) -> bool:
    return value == wanted


def _has_words(text: str, wanted: str) -> bool:
    return words(wanted) <= words(text)


def _has_language(tag: str, wanted: str) -> bool:
    """Compare tags: `zh` admits `zh-Hant`, and `zh-Hant` not `zh`.

    >>> _has_language("zh-Hant", "zh"), _has_language("zh", "zh-hant"), _has_language("zhx", "zh")
    (True, False, False)
    """
    own, wished = ((part or UNKNOWN).replace("_", "-").lower() for part in (tag, wanted))
    return own == wished or own.startswith(f"{wished}-")


def _meets(persona: str, query: str) -> bool:
    """Return True if a persona contains all words of an alternative.

    >>> _meets("A retired maths teacher", "nurse | teacher maths"), _meets("A teacher", "teach")
    (True, False)
    """
    own = words(persona)
    return any(wanted <= own for part in query.split("|") if (wanted := words(part)))
