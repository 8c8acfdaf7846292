"""Prompt files: the only place where the project speaks to a model.

A prompt is a Markdown file with YAML front matter (`role`, `format`, `sampling`, `output`, and
optional `variables` with their defaults), a `# System` and a `# User` part in Jinja. Its
demonstrations, one JSON object per line holding the inputs and the output fields, lie in
`demonstrations/<name>.jsonl`. A file in `tasks/` is a dataset: the graph gains an asset of its
name.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl
import yaml
from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persona_assets.dedup.text.words import words
from persona_assets.generation.completion import Request
from persona_assets.ids import content_id, uniform
from persona_assets.prompting.answer_schema import answer_columns, answer_model
from persona_assets.settings import Prompting

_LAYOUT = re.compile(r"\A---\n(.*?)\n---\n+# System\n(.*?)\n# User\n(.*)\Z", re.DOTALL)
_ZERO_SHOT = Prompting()

COPIED = 0.7
"""Share of a demonstration's words above which an answer counts as copied from it."""


class PromptError(ValueError):
    """A prompt file is not as it must be; the message names the file and the mistake."""


class FrontMatter(BaseModel):
    """The YAML head of a prompt file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str
    role: Literal["writer", "solver", "second_solver", "judge"] = "writer"
    format: Literal["text", "json"] = "json"
    sampling: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, dict[str, Any]]
    variables: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Prompt:
    """A prompt as its file has it, or, after `bind`, as one shard uses it."""

    name: str
    head: FrontMatter
    system: str
    user: str
    answer: type[BaseModel]
    environment: SandboxedEnvironment
    pool: tuple[Mapping[str, Any], ...] = ()
    prompting: Prompting = _ZERO_SHOT
    shots: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        unknown = sorted(set(self.prompting.variables) - set(self.head.variables))
        if unknown:
            raise PromptError(
                f"prompt {self.name} has no variable {', '.join(unknown)}; its variables are: "
                f"{', '.join(self.head.variables) or 'none'}"
            )

    def bind(self, prompting: Prompting, shard: str) -> "Prompt":
        """This prompt in the given mode, with the demonstrations of a shard.

        All rows of a shard see the same demonstrations, so that a server can reuse the constant
        head of the prompt; other shards see others, so that one demonstration cannot colour a hub.
        Raises PromptError where the pool is smaller than the number asked for.
        """
        if prompting.shots > len(self.pool):
            raise PromptError(
                f"prompt {self.name}: {prompting.shots} demonstrations asked for and "
                f"{len(self.pool)} in demonstrations/{self.name}.jsonl: add some, or ask for fewer"
            )
        order = sorted(range(len(self.pool)), key=lambda i: uniform(self.name, shard, str(i)))
        shots = tuple(self.pool[i] for i in order[: prompting.shots])
        return replace(self, prompting=prompting, shots=shots)

    def as_role(self, role: str) -> "Prompt":
        """This prompt put to another role's model."""
        return replace(self, head=self.head.model_copy(update={"role": role}))

    def given(self, **variables: str) -> "Prompt":
        """This prompt with some of its variables set."""
        merged = {**self.prompting.variables, **variables}
        return replace(self, prompting=self.prompting.model_copy(update={"variables": merged}))

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits over everything that shapes an answer, whatever the shard."""
        pool = self.pool if self.prompting.shots else ()
        skeletons = [self._skeleton(self.system), self._skeleton(self.user)]
        parts = [self.head.model_dump_json(), self.system, self.user, *skeletons]
        parts += [self.prompting.model_dump_json(include={"mode", "shots", "variables"})]
        return content_id(*parts, json.dumps(pool, sort_keys=True))[:12]

    @property
    def columns(self) -> dict[str, pl.DataType]:
        """The polars type of each field of an answer."""
        return answer_columns(self.head.output)

    def request(self, inputs: Mapping[str, str], index: int = 0, **sampling: Any) -> Request:
        """The call for one row: system text, demonstrations as turns, and the row itself."""
        system = self._render(self._system, inputs)
        messages = [{"role": "system", "content": system}] if system else []
        messages += self._demonstrations
        messages.append({"role": "user", "content": self._render(self._user, inputs)})
        return Request(
            role=self.head.role,
            messages=tuple(messages),
            sampling={**self.head.sampling, **sampling},
            output=self.answer,
            format=self.head.format,
            index=index,
            prompt_version=self.version,
        )

    def copied(self, value: Mapping[str, Any]) -> bool:
        """Whether an answer repeats a demonstration that it was shown; a choice from a list of
        values cannot.
        """
        given = self._words(value)
        return any(len(given & shown) > COPIED * len(given | shown) for shown in self._shown)

    # A shard has many rows: what they share is made once.
    @cached_property
    def _system(self) -> Template:
        return self.environment.from_string(self.system)

    @cached_property
    def _user(self) -> Template:
        return self.environment.from_string(self.user)

    @cached_property
    def _demonstrations(self) -> list[dict[str, str]]:
        turns: list[dict[str, str]] = []
        for shot in self.shots:
            given = {key: value for key, value in shot.items() if key not in self.head.output}
            if self.prompting.mode == "few-shot":
                given["persona"] = ""
            turns.append({"role": "user", "content": self._render(self._user, given)})
            turns.append({"role": "assistant", "content": self._answer_text(shot)})
        return turns

    @cached_property
    def _shown(self) -> list[frozenset[str]]:
        return [self._words(shot) for shot in self.shots]

    def _words(self, fields: Mapping[str, Any]) -> frozenset[str]:
        free = [name for name, spec in self.head.output.items() if "enum" not in spec]
        return words(" ".join(str(fields[name]) for name in free))

    def _answer_text(self, shot: Mapping[str, Any]) -> str:
        fields = {name: shot[name] for name in self.head.output}
        if self.head.format == "text":
            return str(next(iter(fields.values())))
        return json.dumps(fields, ensure_ascii=False)

    def _skeleton(self, template: str) -> str:
        names = meta.find_undeclared_variables(self.environment.parse(template))
        fixed = {**self.head.variables, **self.prompting.variables}
        inputs = {name: f"<{name}>" for name in names - set(fixed)}
        return self._render(self.environment.from_string(template), inputs)

    def _render(self, template: Template, inputs: Mapping[str, str]) -> str:
        known = {**self.head.variables, **self.prompting.variables, **inputs}
        try:
            return template.render(known).strip()
        except TemplateError as error:
            raise PromptError(f"prompt {self.name}: {error}") from None


class Prompts:
    """All prompts of a folder, by name; `tasks` are those in its `tasks/`."""

    def __init__(self, folder: Path) -> None:
        """Reads and checks every file. Raises PromptError for the first that is wrong."""
        if not folder.is_dir():
            raise PromptError(f"no prompts at {folder}: set PERSONA_PROMPTS to their folder")
        self.folder = folder
        environment = SandboxedEnvironment(
            loader=FileSystemLoader(folder), undefined=StrictUndefined, autoescape=False
        )
        self._prompts = {p.name: p for p in _read_all(folder.glob("*.md"), environment)}
        self.tasks = {p.name: p for p in _read_all((folder / "tasks").glob("*.md"), environment)}

    def __getitem__(self, name: str) -> Prompt:
        """The prompt of that name. Raises PromptError naming the file that is missing."""
        prompt = self.tasks.get(name) or self._prompts.get(name)
        if prompt is None:
            raise PromptError(f"no prompt {name}: expected the file {self.folder / name}.md")
        return prompt


def _read_all(files: Iterable[Path], environment: SandboxedEnvironment) -> Iterator[Prompt]:
    for file in sorted(files):
        yield _read(file, environment)


def _read(file: Path, environment: SandboxedEnvironment) -> Prompt:
    if not re.fullmatch(r"\w+", file.stem, re.ASCII):
        raise PromptError(f"{file}: name the file with letters, digits and _ alone")
    try:
        layout = _LAYOUT.match(file.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise PromptError(f"{file} is not UTF-8: save it as UTF-8") from None
    if layout is None:
        raise PromptError(f"{file}: expected front matter between ---, then # System and # User")
    try:
        head = FrontMatter.model_validate(yaml.safe_load(layout[1]))
        answer = answer_model(file.stem, head.output)
        for part in layout.group(2, 3):
            environment.from_string(part)
    except (ValidationError, ValueError, yaml.YAMLError, TemplateError) as error:
        raise PromptError(f"{file}: {error}") from None
    if head.format == "text" and len(head.output) != 1:
        raise PromptError(f"{file}: format text needs exactly one output field")
    prompts = file.parent.parent if file.parent.name == "tasks" else file.parent
    pool = _read_pool(prompts / "demonstrations" / f"{file.stem}.jsonl", answer)
    return Prompt(file.stem, head, layout[2], layout[3], answer, environment, pool)


def _read_pool(file: Path, answer: type[BaseModel]) -> tuple[Mapping[str, Any], ...]:
    if not file.exists():
        return ()
    pool: list[Mapping[str, Any]] = []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            shot = json.loads(line)
            answer.model_validate({key: shot[key] for key in answer.model_fields})
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise PromptError(f"{file} line {number}: {error}") from None
        pool.append(shot)
    return tuple(pool)
