"""Front matter of a prompt file: what a model answers, and what the rows of a task are made from.

Belongs here: the keys of the YAML block, and errors that name a line of it. Does not belong here:
templates and demonstrations.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    model_validator,
)

from persona_assets.prompting.answer_schema import sent_fields
from persona_assets.rules.kinds import KINDS
from persona_assets.settings import Task, nearest

Role = Literal["writer", "solver", "second_solver", "judge"]
Related = Literal["hop", "strangers"] | tuple[float, float]

HUB = "persona_hub"
"""Asset that the rows of a task are made from, unless its file names another task."""


class PromptError(ValueError):
    """Invalid or missing prompt file; the message names the file and the mistake."""


class Uniqueness(BaseModel):
    """What makes a sample of a task a near-duplicate, in the front matter of the task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: tuple[str, ...] | None = None
    """Output fields whose words count; None for all strings without `enum`."""

    among: str | None = Field(default=None, pattern="^[A-Za-z0-9_]+$")
    """Name of a set of tasks among whose samples a sample is unique; None for the task alone."""


class FrontMatter(BaseModel):
    """YAML front matter of a prompt file.

    Attributes:
        description: Sentence that the UI shows.
        role: Model that answers.
        format: "json", or "text" for an answer of a single field.
        sampling: Sampling parameters.
        output: Fields of the answer; see answer_schema.py.
        variables: Template variables with their defaults.
        unique: What makes a sample a near-duplicate.
        kind: Kind of the answer, or of each field; see rules/kinds.py.
        threshold: Least score by field, of a rubric.
        source: `from`: task whose samples the rows are made from; the hub unless given.
        keep: Fields of those samples that are copied into the rows.
        personas: Number of personas of a row.
        related: How the second persona is found: related by a hop, strangers, or a range of the
            cosine.
        turns: Number of messages of a conversation, a call each.
        answers: Role that answers the persona in a conversation; None if a second persona does.
        then: Steps of Python on the answer, in order; see postprocess/.
        distribution: Field whose choices are counted over all shards, by stratum of the personas.
        settings: Defaults of the task's settings.
        variants: Settings of the task's variants, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str
    role: Literal["writer", "solver", "second_solver", "judge"] = "writer"
    format: Literal["text", "json"] = "json"
    sampling: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, dict[str, Any]]
    variables: dict[str, str] = Field(default_factory=dict)
    unique: Uniqueness = Uniqueness()
    # No part of the version: a kind changes no answer, only the verdict on it.
    kind: str | dict[str, str] | None = Field(default=None, exclude=True)
    # Likewise: a judge's scores do not depend on it.
    threshold: dict[str, float] = Field(default_factory=dict, exclude=True)
    # From here on: what rows are made from. It is in the code version of the task's asset.
    source: str = Field(default=HUB, alias="from", pattern=r"^[A-Za-z0-9_]+$", exclude=True)
    keep: tuple[str, ...] = Field(default=(), exclude=True)
    personas: Literal[1, 2] = Field(default=1, exclude=True)
    related: Related | None = Field(default=None, exclude=True)
    turns: int | None = Field(default=None, ge=2, le=100, exclude=True)
    answers: Role | None = Field(default=None, exclude=True)
    then: tuple[str, ...] = Field(default=(), exclude=True)
    distribution: str | None = Field(default=None, exclude=True)
    settings: Task = Field(default=Task(), exclude=True)
    variants: dict[str, Task] = Field(default_factory=dict, exclude=True)

    @property
    def of_personas(self) -> bool:
        """True if a row is made from a single persona of the hub."""
        return self.source == HUB and self.personas == 1

    @field_serializer("output")
    def _sent_output(self, output: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        # How an answer of another shape is read is no part of the version.
        return sent_fields(output)

    @model_validator(mode="after")
    def _kinds_are_known(self) -> "FrontMatter":
        by_field = self.kind if isinstance(self.kind, dict) else {}
        kinds = by_field.values() if isinstance(self.kind, dict) else [self.kind]
        if unknown := sorted({kind for kind in kinds if kind is not None} - set(KINDS)):
            raise ValueError(f"kind {unknown[0]!r} is none of {', '.join(KINDS)}")
        if missing := sorted(set(by_field) - set(self.output)):
            raise ValueError(f"kind names {missing[0]!r}, which output does not have")
        return self

    @model_validator(mode="after")
    def _parts_of_a_row_go_together(self) -> "FrontMatter":
        if (self.personas == 2) != (self.related is not None):
            raise ValueError(
                "personas: 2 and related (hop, strangers, or a range such as [0.3, 0.6]) need each "
                "other"
            )
        if self.personas == 2 and self.source != HUB:
            raise ValueError(f"personas: 2 makes rows from {HUB}: remove from")
        if self.keep and self.source == HUB:
            raise ValueError("keep copies fields of another task: name it in from")
        if self.turns is None and self.answers is not None:
            raise ValueError("answers names who answers in a conversation: set turns")
        if self.turns is not None and (self.answers is None) != (self.personas == 2):
            raise ValueError("turns need answers, the role that answers, or personas: 2")
        if self.turns is not None and self.format != "text":
            raise ValueError("turns need format: text, since each message is a whole answer")
        return self

    @model_validator(mode="after")
    def _distribution_is_of_choices(self) -> "FrontMatter":
        if self.distribution is not None and "enum" not in self.output.get(self.distribution, {}):
            raise ValueError(
                f"distribution names {self.distribution!r}, which is no field with an enum"
            )
        return self

    @model_validator(mode="after")
    def _thresholds_are_of_scores(self) -> "FrontMatter":
        for name in self.threshold:
            if self.output.get(name, {}).get("type") not in ("integer", "number"):
                raise ValueError(f"threshold names {name!r}, which is no number of the output")
        return self


# A command reads the prompts of its project several times.
@lru_cache(maxsize=256)
def _parse(text: str) -> FrontMatter:
    return FrontMatter.model_validate(yaml.safe_load(text))


def read_front_matter(file: Path, text: str) -> FrontMatter:
    """Read the YAML block of a file.

    Args:
        file: File, for messages.
        text: The block, which starts in the second line of the file.

    Raises:
        PromptError: The block violates the syntax; the message names the line.
    """
    try:
        return _parse(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" line {mark.line + 2}"
        problem = getattr(error, "problem", None) or str(error)
        raise PromptError(f"{file}{place}: {problem}") from None
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A misspelled key is also missing under its right name.
        first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
        where = ": ".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = f"unknown key{nearest(str(first['loc'][-1]), KEYS)}"
        line = _line_of(text, first["loc"] or _named_keys(message))
        place = f"{where}: " if where else ""
        raise PromptError(f"{file} line {line}: {place}{message}") from None


KEYS = sorted(field.alias or name for name, field in FrontMatter.model_fields.items())
"""Keys of a front matter."""


def _named_keys(message: str) -> Sequence[str]:
    """Return the first key that a message names, which has no place of its own."""
    return [word for word in re.findall(r"[a-z_]+", message) if word in KEYS][:1]


def _line_of(text: str, path: Sequence[int | str]) -> int:
    """Return the line in the file of a member of the block, or of the nearest one around it."""
    node = yaml.compose(text)
    line = 0
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if pair[0].value == str(part)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = [(each, each) for each in node.value[part : part + 1]]
        else:
            break
        if not found:
            break
        line = found[0][0].start_mark.line
        node = found[0][1]
    return line + 2
