"""Prompt files: the only source of text that the project sends to a model.

A prompt is a Markdown file with YAML front matter (front_matter.py), a `# System` and a `# User`
part in Jinja, and, for a conversation, an `# Assistant` part: the system message of who answers.
Its demonstrations are stored in `demonstrations/<name>.jsonl`: per line a JSON object with the
inputs and the output fields. A file in `tasks/` defines a dataset: the graph has an asset of that
name. A file of the same name in `rubrics/` scores its samples.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import regex
from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ValidationError

from persona_assets.dedup.text.words import words
from persona_assets.generation.completion import Request
from persona_assets.ids import VARIANT, content_id, uniform
from persona_assets.languages import (
    ENGLISH,
    UNKNOWN,
    foreign_language,
    language_name,
    speaks_of_a_language,
    tag_of_name,
)
from persona_assets.prompting.answer_schema import answer_columns, answer_model
from persona_assets.prompting.front_matter import FrontMatter, PromptError, read_front_matter
from persona_assets.settings import ROLES, Prompting, nearest

_LAYOUT = re.compile(
    r"\A---\n(.*?)\n---\n+# System\n(.*?)\n# User\n(.*?)(?:\n# Assistant\n(.*))?\Z", re.DOTALL
)
_ZERO_SHOT = Prompting()

IN_LANGUAGE = "Write in {}."
"""End of a request for an answer in another language than English, where the prompt has no variable
`language`."""

_OTHER_LETTER = regex.compile(
    r"[\p{L}--[\p{Script=Latin}\p{Script=Greek}\p{Script=Common}]]", regex.V1
)
"""A letter of another script; Greek ones occur in formulas."""

RUBRICS = "rubrics/"
"""Prefix of the name of a rubric, before the name of its task."""

OF_PERSONAS = ("persona", "other", "relation", "parent")
"""Inputs that are about personas: demonstrations of the mode `few-shot` hide them."""

COPIED = 0.7
"""Jaccard similarity of words above which an answer counts as a copy of a demonstration."""


@dataclass(frozen=True)
class Prompt:
    """Prompt of a file; after `bind`, with the mode and demonstrations of a shard.

    Args:
        name: Stem of the file; `task@variant` for a variant of a task.
        head: Front matter.
        system: Jinja template of the system message.
        user: Jinja template of the user message.
        answer: Pydantic model of an answer.
        environment: Jinja environment, which resolves includes below the prompts folder.
        pool: All demonstrations of the prompt.
        prompting: Mode, number of demonstrations, values of variables.
        shots: Demonstrations in use, drawn from the pool.
        language: Name of the language that the settings give to all answers; "" for none.
        assistant: Jinja template of the system message of who answers in a conversation.
    """

    name: str
    head: FrontMatter
    system: str
    user: str
    answer: type[BaseModel]
    environment: SandboxedEnvironment
    pool: tuple[Mapping[str, Any], ...] = ()
    prompting: Prompting = _ZERO_SHOT
    shots: tuple[Mapping[str, Any], ...] = ()
    language: str = ""
    assistant: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.prompting.variables) - set(self.head.variables))
        if unknown:
            raise PromptError(
                f"prompt {self.name} has no variable {unknown[0]}"
                f"{nearest(unknown[0], self.head.variables)}; its variables are: "
                f"{', '.join(self.head.variables) or 'none'}"
            )

    @property
    def file(self) -> str:
        """Stem of the file: rows and demonstrations are drawn alike for all variants of a task."""
        return self.name.partition(VARIANT)[0]

    def bind(self, prompting: Prompting, shard: str) -> "Prompt":
        """Return this prompt in a mode, with the demonstrations of a shard.

        All rows of a shard see the same demonstrations, so that a server can cache the constant
        prefix of the prompt. Different shards see different demonstrations, so that no single
        demonstration shapes the whole hub.

        Raises:
            PromptError: The pool has fewer demonstrations than requested, or a variable is unknown.
        """
        if prompting.shots > len(self.pool):
            raise PromptError(
                f"prompt {self.name}: {prompting.shots} demonstrations asked for and "
                f"{len(self.pool)} in demonstrations/{self.name}.jsonl: add some, or ask for fewer"
            )
        order = sorted(range(len(self.pool)), key=lambda i: uniform(self.file, shard, str(i)))
        shots = tuple(self.pool[i] for i in order[: prompting.shots])
        return replace(self, prompting=prompting, shots=shots)

    def as_role(self, role: str) -> "Prompt":
        """Return this prompt for the model of another role."""
        return replace(self, head=self.head.model_copy(update={"role": role}))

    def in_language(self, name: str) -> "Prompt":
        """Return this prompt for answers in a language, unless a setting names it in a variable."""
        return self if "language" in self.prompting.variables else replace(self, language=name)

    def with_variables(self, **variables: str) -> "Prompt":
        """Return this prompt with values for variables of its front matter."""
        merged = {**self.prompting.variables, **variables}
        return replace(self, prompting=self.prompting.model_copy(update={"variables": merged}))

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits over all inputs that shape an answer, independent of the shard."""
        pool = self.pool if self.prompting.shots else ()
        # Which samples are duplicates shapes no answer.
        head = self.head.model_dump_json(exclude={"unique"})
        parts = [head, self.system, self.user, *self.skeletons]
        parts += [self.prompting.model_dump_json(include={"mode", "shots", "variables"})]
        # Left out where it is not set: earlier versions of the project did not have it.
        parts += [json.dumps(pool, sort_keys=True), *filter(None, [self.language, self.assistant])]
        return content_id(*parts)[:12]

    @cached_property
    def wording(self) -> list[str]:
        """Passages of the templates outside Jinja tags: the prompt's own words."""
        return [
            text
            for template in (self.system, self.user, self.assistant)
            for _, token, text in self.environment.lex(template)
            if token == "data"
        ]

    @cached_property
    def names(self) -> frozenset[str]:
        """Names that the templates use: inputs and variables."""
        templates = map(self.environment.parse, (self.system, self.user, self.assistant))
        return frozenset().union(*map(meta.find_undeclared_variables, templates))

    @property
    def skeletons(self) -> list[str]:
        """System and user message with the names of the inputs in place of their values."""
        return [self._skeleton(self.system), self._skeleton(self.user)]

    @property
    def demonstration_texts(self) -> list[str]:
        """Free text of the demonstrations in use; choices of an `enum` are left out."""
        return [
            text
            for shot in self.shots
            for name, spec in self.head.output.items()
            if "enum" not in spec
            for text in _strings(shot[name])
        ]

    @property
    def columns(self) -> dict[str, pl.DataType]:
        """Polars type of each field of an answer."""
        return answer_columns(self.head.output)

    @property
    def unique_fields(self) -> tuple[str, ...]:
        """Fields whose words decide which samples are near-duplicates: of conversations the first
        message.
        """
        if self.head.turns:
            return ("opening",)
        texts = _text_fields(self.head.output)
        return texts if self.head.unique.fields is None else self.head.unique.fields

    def request(self, inputs: Mapping[str, Any], index: int = 0, **sampling: Any) -> Request:
        """Render the request for a row: system message, demonstrations as turns, user message.

        Args:
            inputs: Values of the inputs, text or JSON; never interpreted as templates. The input
                `language` is the English name of a language; see `answer_language`.
            index: Number of the sample, for several samples per row.
            sampling: Sampling parameters that override those of the front matter.

        Raises:
            PromptError: A template uses an input without a value.
        """
        if self.language:
            inputs = {**inputs, "language": self.language}
        language = inputs.get("language", "English")
        system = self._render(self._system, inputs)
        messages = [{"role": "system", "content": system}] if system else []
        messages += self._demonstrations
        user = self._render(self._user, inputs)
        if language != "English" and "language" not in self.head.variables:
            user = f"{user}\n\n{IN_LANGUAGE.format(language)}"
        messages.append({"role": "user", "content": user})
        return Request(
            role=self.head.role,
            messages=tuple(messages),
            sampling={**self.head.sampling, **sampling},
            output=self.answer,
            format=self.head.format,
            index=index,
            prompt_version=self.version,
        )

    def reply_request(
        self, inputs: Mapping[str, Any], turns: Sequence[Mapping[str, str]], index: int = 0
    ) -> Request:
        """Render the request for the assistant's reply in a conversation.

        Args:
            inputs: Values of the inputs.
            turns: Messages so far, with `role` and `content`.
            index: Number of the sample.
        """
        system = self._render(self.environment.from_string(self.assistant), inputs)
        messages = [{"role": "system", "content": system}] if system else []
        return Request(
            role=self.head.answers or self.head.role,
            messages=(*messages, *(dict(turn) for turn in turns)),
            sampling=dict(self.head.sampling),
            output=self.answer,
            format="text",
            index=index,
            prompt_version=self.version,
        )

    def answer_language(self, tag: str) -> tuple[str, Mapping[str, str]]:
        """Return the language of an answer about a row, and the input that asks for it.

        A language of the settings or of the prompt file wins over that of the row. A prompt that is
        written in another script says itself in which language it wants the answer.

        Args:
            tag: Language of the row; `und` if unknown.

        Returns:
            Tag of the language, `und` if the prompt says it itself; and the input `language`, or
            nothing for English, as for languages without a name.
        """
        default = self.head.variables.get("language", "English")
        fixed = self.language or self.prompting.variables.get("language")
        if fixed is None and default != "English":
            fixed = default
        if fixed is not None:
            return tag_of_name(fixed), {}
        if self._names_its_language:
            return UNKNOWN, {}
        name = language_name(tag)
        if name is None or name == "English":
            return ENGLISH if name is None else tag, {}
        return tag, {"language": name}

    @cached_property
    def _names_its_language(self) -> bool:
        return any(
            _OTHER_LETTER.search(text) is not None
            or speaks_of_a_language(text)
            or foreign_language(text, ENGLISH) is not None
            for text in (self._skeleton(self.system), self._skeleton(self.user))
        )

    def copies_demonstration(self, value: Mapping[str, Any]) -> bool:
        """Return True if an answer repeats a demonstration in its request.

        Fields with an `enum` are ignored: equal choices are no copy.
        """
        answer = self._words(value)
        return any(len(answer & shot) > COPIED * len(answer | shot) for shot in self._shot_words)

    # Cached: all rows of a shard share the templates and the demonstrations.
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
            inputs = {key: value for key, value in shot.items() if key not in self.head.output}
            if self.prompting.mode == "few-shot":
                inputs |= {"persona": "", **{name: "" for name in OF_PERSONAS if name in inputs}}
            try:
                shown = self._render(self._user, inputs)
            except PromptError as error:
                raise PromptError(
                    f"demonstrations/{self.file}.jsonl: a line lacks an input: {error}"
                ) from None
            turns.append({"role": "user", "content": shown})
            turns.append({"role": "assistant", "content": self._answer_text(shot)})
        return turns

    @cached_property
    def _shot_words(self) -> list[frozenset[str]]:
        return [self._words(shot) for shot in self.shots]

    def _words(self, fields: Mapping[str, Any]) -> frozenset[str]:
        free_text = [name for name, spec in self.head.output.items() if "enum" not in spec]
        return words(" ".join(str(fields[name]) for name in free_text))

    def _answer_text(self, shot: Mapping[str, Any]) -> str:
        fields = {name: shot[name] for name in self.head.output}
        if self.head.format == "text":
            return str(next(iter(fields.values())))
        return json.dumps(fields, ensure_ascii=False)

    def _skeleton(self, template: str) -> str:
        """Render a template with the names of its inputs: the text of includes is part of it."""
        names = meta.find_undeclared_variables(self.environment.parse(template))
        fixed = {**self.head.variables, **self.prompting.variables}
        inputs = {name: _Placeholder(f"<{name}>") for name in names - set(fixed)}
        return self._render(self.environment.from_string(template), inputs)

    def _render(self, template: Template, inputs: Mapping[str, Any]) -> str:
        values = {**self.head.variables, **self.prompting.variables, **inputs}
        try:
            return template.render(values).strip()
        except TemplateError as error:
            raise PromptError(f"prompt {self.name}: {error}") from None


class _Placeholder(str):
    """Name of an input in place of its value: text, or a list of one record with any member."""

    __slots__ = ()

    def __getattr__(self, name: str) -> "_Placeholder":
        if name.startswith("_"):
            raise AttributeError(name)
        return _Placeholder(f"{self[:-1]}.{name}>")

    def __iter__(self) -> Iterator["_Placeholder"]:
        yield self


class Prompts:
    """All prompts of a folder by name.

    Attributes:
        tasks: Prompts in the subfolder `tasks/`, and their variants, by name.
        rubrics: Prompts in the subfolder `rubrics/`, by the name of their task.
    """

    def __init__(self, folder: Path, variants: Iterable[str] = ()) -> None:
        """Read and validate all files.

        Args:
            folder: Folder of the files.
            variants: Names of variants of tasks, `task@variant`; those of other tasks are left out.

        Raises:
            PromptError: The folder does not exist, or a file is invalid.
        """
        if not folder.is_dir():
            raise PromptError(f"no prompts at {folder}: set PERSONA_PROMPTS to their folder")
        self.folder = folder
        environment = SandboxedEnvironment(
            loader=FileSystemLoader(folder), undefined=StrictUndefined, autoescape=False
        )
        self._prompts = {p.name: p for p in _read_all(folder.glob("*.md"), environment)}
        self.tasks = {p.name: p for p in _read_all((folder / "tasks").glob("*.md"), environment)}
        for name in sorted(variants):
            task, _, variant = name.partition(VARIANT)
            if variant and task in self.tasks:
                _check_variant(folder / "tasks" / f"{task}.md", variant)
                self.tasks[name] = replace(self.tasks[task], name=name)
        rubrics = _read_all((folder / "rubrics").glob("*.md"), environment)
        self.rubrics = {p.name.removeprefix(RUBRICS): p for p in rubrics}

    @property
    def names(self) -> list[str]:
        """Names of all prompts, tasks and rubrics included."""
        return sorted({*self._prompts, *self.tasks, *(RUBRICS + task for task in self.rubrics)})

    def rubric(self, task: str) -> Prompt | None:
        """Return the rubric of a task or of a variant, which is that of its task; None without."""
        return self.rubrics.get(task) or self.rubrics.get(task.partition(VARIANT)[0])

    def __getitem__(self, name: str) -> Prompt:
        """Return the prompt of a name.

        Raises:
            PromptError: No such prompt; the message names the expected file.
        """
        if name.startswith(RUBRICS):
            prompt = self.rubric(name.removeprefix(RUBRICS))
        else:
            prompt = self.tasks.get(name) or self._prompts.get(name)
        if prompt is None:
            raise PromptError(f"no prompt {name}: expected the file {self.folder / name}.md")
        return prompt


def _check_variant(file: Path, variant: str) -> None:
    if not re.fullmatch(r"\w+", variant, re.ASCII) or variant in ROLES:
        raise PromptError(
            f"{file}: a variant cannot be named {variant!r}: use letters, digits and _ alone, and "
            "not the name of a role"
        )


def _strings(value: Any) -> Iterator[str]:
    """Yield all strings of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for member in value.values() for text in _strings(member))
    elif isinstance(value, list):
        yield from (text for member in value for text in _strings(member))


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
    is_rubric = file.parent.name == RUBRICS.rstrip("/")
    name = f"{RUBRICS}{file.stem}" if is_rubric else file.stem
    try:
        head = read_front_matter(file, layout[1])
        answer = answer_model(f"{file.stem}_rubric" if is_rubric else file.stem, head.output)
        for part in layout.group(2, 3, 4):
            environment.from_string(part or "")
    except PromptError:
        raise
    except (ValueError, TemplateError) as error:
        raise PromptError(f"{file}: {error}") from None
    if head.format == "text" and len(head.output) != 1:
        raise PromptError(f"{file}: format text needs exactly one output field")
    texts = _text_fields(head.output)
    if wrong := sorted({*(head.unique.fields or ())} - {*texts}):
        raise PromptError(
            f"{file}: unique.fields names {wrong[0]}{nearest(wrong[0], texts)}; the strings of the "
            f"output are: {', '.join(texts) or 'none'}"
        )
    if is_rubric != bool(head.threshold):
        raise PromptError(
            f"{file}: a rubric needs a threshold by score, such as threshold: {{sound: 4}}"
            if is_rubric
            else f"{file}: threshold is for the files in {RUBRICS}: remove it"
        )
    prompts = file.parent.parent if is_rubric or file.parent.name == "tasks" else file.parent
    pool = _read_pool(prompts / "demonstrations" / f"{name}.jsonl", answer)
    if (layout[4] is not None) != (head.answers is not None):
        raise PromptError(
            f"{file}: a conversation with an assistant has answers in its front matter and a part "
            "# Assistant, which may be empty; nothing else has either"
        )
    made = Prompt(name, head, layout[2], layout[3], answer, environment, pool)
    return replace(made, assistant=layout[4] or "")


def _text_fields(output: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(
        name for name, spec in output.items() if spec["type"] == "string" and "enum" not in spec
    )


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
