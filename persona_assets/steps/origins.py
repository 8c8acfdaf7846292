"""Origins: what the rows of a task are made from. A persona, a sample of another task, or a pair.

An origin is a row with the columns that go into the task's rows (`columns`), the values that its
templates see (`inputs`), a licence, a language, and CONTENT, by whose hash rows are drawn.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from persona_assets.ids import uniform
from persona_assets.postprocess import added_columns
from persona_assets.prompting.front_matter import PromptError
from persona_assets.prompting.prompt import Prompt
from persona_assets.settings import nearest

CONTENT = "_content"
"""Column by whose hash origins are drawn."""

PERSONA = {"persona_id": pl.String(), "persona": pl.String()}
OTHER = {"other_id": pl.String(), "other": pl.String(), "relation": pl.String()}
"""Columns of the second persona of a pair: `relation` is what the second is to the first."""

MESSAGE = pl.Struct(
    {
        "speaker": pl.String(),
        "content": pl.String(),
        "model": pl.String(),
        "completion_id": pl.String(),
    }
)
"""A message of a conversation."""

PARENT = ("parent", "relation")
"""Inputs of a task of personas: the persona from which a persona was expanded, if it is in the same
shard of the hub, and what the persona is to it; else "" both."""

IN_CONVERSATION = ("messages", "speaker")
"""Inputs of a message of a conversation: the messages before it, and who speaks."""

CONVERSATION = {"opening": pl.String(), "messages": pl.List(MESSAGE)}
"""Columns of a conversation: its first message, and all of them."""


@dataclass(frozen=True)
class Origin:
    """Form of the origins of a task.

    Attributes:
        columns: Columns that go into the rows.
        inputs: Columns that the templates see.
        ids: Columns that identify an origin together.
    """

    columns: Mapping[str, pl.DataType]
    inputs: tuple[str, ...]
    ids: tuple[str, ...]

    @property
    def parent(self) -> str:
        """Column with the id of the row that a row is made from."""
        return self.ids[0]

    @property
    def second(self) -> str | None:
        """Column with the id of the second row that a row is made from; None of a single one."""
        return self.ids[1] if len(self.ids) > 1 else None

    def key(self, row: Mapping[str, Any]) -> str:
        """Return the id of an origin."""
        return "+".join(row[name] for name in self.ids)


def origin_of(prompt: Prompt, source: Prompt | None) -> Origin:
    """Return the form of a task's origins.

    Args:
        prompt: Prompt of the task.
        source: Prompt of the task whose samples the rows are made from; None for personas.
    """
    if source is not None:
        fields = answer_columns(source)
        kept = {name: fields[name] for name in prompt.head.keep}
        columns = {"source_id": pl.String(), **PERSONA, **kept}
        # A template names a language by its English name, and a row by its tag.
        inputs = ("persona", *(name for name in fields if name != "language"))
        return Origin(columns, inputs, ("source_id",))
    if prompt.head.personas == 2:
        return Origin(
            {**PERSONA, **OTHER}, ("persona", *list(OTHER)[1:]), ("persona_id", "other_id")
        )
    # A variable of the file is older than the inputs beside the persona.
    used = prompt.names - prompt.head.variables.keys()
    return Origin(PERSONA, ("persona", *(name for name in PARENT if name in used)), ("persona_id",))


def check_inputs(prompt: Prompt, source: Prompt | None) -> None:
    """Check that the templates of a task use names of its inputs and variables alone.

    Args:
        prompt: Prompt of the task.
        source: Prompt of the task whose samples the rows are made from; None for personas.

    Raises:
        PromptError: A template uses another name.
    """
    known = {
        *origin_of(prompt, source).inputs,
        *(PARENT if prompt.head.of_personas else ()),
        *(IN_CONVERSATION if prompt.head.turns else ()),
        *prompt.head.variables,
        "language",
    }
    if unknown := sorted(prompt.names - known):
        raise PromptError(
            f"tasks/{prompt.file}.md: a template uses {unknown[0]}{nearest(unknown[0], known)}; "
            f"its inputs and variables are: {', '.join(sorted(known))}"
        )


def with_parents(personas: pl.DataFrame, hub: pl.DataFrame) -> pl.DataFrame:
    """Return personas with the inputs PARENT: `parent`, and `relation` as what they are to it.

    Args:
        personas: Rows of `persona_hub`.
        hub: All rows of the shard, in which parents are looked up.

    Example:
        >>> hub = pl.DataFrame(
        ...     {
        ...         "persona_id": ["1", "2"],
        ...         "parent_id": ["0", "1"],
        ...         "persona": ["A judge.", "A carer."],
        ...         "relation": ["reads", "carer"],
        ...     }
        ... )
        >>> with_parents(hub, hub).select("parent", "relation").rows()
        [('', ''), ('A judge.', 'carer')]
    """
    parents = hub.select(parent_id="persona_id", parent="persona")
    joined = personas.join(parents, on="parent_id", how="left", maintain_order="left")
    alone = pl.col("parent").is_null()
    return joined.with_columns(
        parent=pl.col("parent").fill_null(""),
        relation=pl.when(alone).then(pl.lit("")).otherwise(pl.col("relation")),
    )


def answer_columns(prompt: Prompt) -> dict[str, pl.DataType]:
    """Return the columns of a task's rows that its answers fill, steps of Python included."""
    columns = CONVERSATION if prompt.head.turns else prompt.columns
    return {**columns, **added_columns(prompt.head.then)}


def texts_in(value: Any) -> list[str]:
    """Return all texts of a value, those in lists and objects too.

    Example:
        >>> texts_in({"name": "tides", "parameters": [{"name": "port", "size": 3}]})
        ['tides', 'port']
    """
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, Mapping) else value
    return (
        [text for part in parts for text in texts_in(part)] if isinstance(parts, Iterable) else []
    )


def source_texts(prompt: Prompt, inputs: Mapping[str, Any]) -> list[str]:
    """Return the texts of the inputs that the templates of a prompt show."""
    return [
        text
        for name, value in inputs.items()
        if name in prompt.names and name != "language"
        for text in texts_in(value)
    ]


def without_completions(value: Any) -> Any:
    """Return a value of a row; messages of a conversation without model and completion id.

    Example:
        >>> message = {"speaker": "user", "content": "Hello", "model": "m", "completion_id": "c"}
        >>> without_completions([message])
        [{'speaker': 'user', 'content': 'Hello'}]
    """
    if not is_conversation(value):
        return value
    return [{"speaker": each["speaker"], "content": each["content"]} for each in value]


def is_conversation(value: Any) -> bool:
    """Return True for the messages of a row in turns."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and first.keys() == {field.name for field in MESSAGE.fields}


def origins_of_samples(samples: pl.DataFrame, source: Prompt) -> pl.DataFrame:
    """Return the samples of a task as origins of another."""
    fields = answer_columns(source)
    content = [
        json.dumps(
            [without_completions(row[name]) for name in ("persona", *fields)], ensure_ascii=False
        )
        for row in samples.iter_rows(named=True)
    ]
    return samples.rename({"sample_id": "source_id"}).select(
        "source_id",
        *PERSONA,
        *fields,
        *(name for name in ("licence", "language") if name not in fields),
        pl.Series(CONTENT, content, pl.String()),
    )


def related_by_hop(hub: pl.DataFrame) -> pl.DataFrame:
    """Pair each persona with the persona from which it was expanded, if both are in the shard.

    Returns:
        Origins of pairs, first the persona that came first.
    """
    parents = hub.select("persona_id", "persona", "licence", "language")
    children = hub.select(
        pl.col("parent_id").alias("persona_id"),
        pl.col("persona_id").alias("other_id"),
        pl.col("persona").alias("other"),
        "relation",
        pl.col("licence").alias("other_licence"),
    )
    return _pairs(children.join(parents, on="persona_id", maintain_order="left"))


def strangers(hub: pl.DataFrame) -> pl.DataFrame:
    """Pair each persona with another of the shard that does not descend from it or its parent.

    The personas stand in a ring in the order of a hash of their words, and each is paired with the
    next in the ring: the pairs depend on no other shard, and a new persona changes two of them.

    Returns:
        Origins of pairs without a relation.
    """
    rows = sorted(hub.iter_rows(named=True), key=lambda row: uniform("stranger", row["persona"]))
    found: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        following = (rows[(place + step) % len(rows)] for step in range(1, len(rows)))
        other = next((each for each in following if not _are_related(row, each)), None)
        if other is not None:
            found.append(_pair(row, other))
    return _pairs(pl.DataFrame(found, schema=_PAIR))


def within_cosine(
    hub: pl.DataFrame, vectors: pl.DataFrame, low: float, high: float
) -> pl.DataFrame:
    """Pair each persona with another of the shard whose vector has a cosine in a range.

    Of all in the range the persona is taken whose words have the lowest hash.

    Args:
        hub: Rows of `persona_hub`.
        vectors: Rows of `persona_embeddings`.
        low: Least cosine.
        high: Greatest cosine.

    Returns:
        Origins of pairs without a relation.
    """
    import numpy as np

    rows = hub.join(vectors.select("persona_id", "vector"), on="persona_id").filter(
        pl.col("vector").list.len() > 0
    )
    rows = rows.with_columns(
        rank=pl.col("persona").map_elements(lambda text: uniform("partner", text), pl.Float64())
    ).sort("rank", "persona_id")
    records = rows.drop("vector").to_dicts()
    if not records:
        return _pairs(pl.DataFrame(schema=_PAIR))
    matrix = np.asarray(rows["vector"].to_list(), np.float32)
    found: list[dict[str, Any]] = []
    for place, row in enumerate(records):
        cosines = matrix @ matrix[place]
        cosines[place] = np.nan
        [inside] = np.nonzero((cosines >= low) & (cosines <= high))
        if len(inside):
            found.append(_pair(row, records[int(inside[0])]))
    return _pairs(pl.DataFrame(found, schema=_PAIR))


_PAIR = pl.Schema(
    {
        **PERSONA,
        **OTHER,
        "licence": pl.String(),
        "other_licence": pl.String(),
        "language": pl.String(),
    }
)


def _pair(row: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "persona_id": row["persona_id"],
        "persona": row["persona"],
        "other_id": other["persona_id"],
        "other": other["persona"],
        "relation": "",
        "licence": row["licence"],
        "other_licence": other["licence"],
        "language": row["language"],
    }


def _pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """Return pairs as origins: both licences hold for what is made from two."""
    both = pl.concat_str([pl.col("licence"), pl.col("other_licence")], separator=" AND ")
    same = pl.col("licence") == pl.col("other_licence")
    content = pl.concat_str([pl.col("persona"), pl.col("other")], separator="\n")
    return rows.select(
        *PERSONA,
        *OTHER,
        licence=pl.when(same).then(pl.col("licence")).otherwise(both),
        language="language",
        **{CONTENT: content},
    )


def _are_related(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    family = {row["persona_id"], row["parent_id"]}
    return bool(family & {other["persona_id"], other["parent_id"]})
