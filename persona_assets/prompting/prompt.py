"""A prompt: front matter, templates and demonstrations of a file, and the requests that they make.

Belongs here: rendering. Does not belong here: reading files, see prompt_folder.py.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import polars as pl
import regex
from jinja2 import Template, TemplateError, nodes
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel

from persona_assets.generation.completion import Request
from persona_assets.ids import VARIANT, content_id
from persona_assets.languages import (
    ENGLISH,
    UNKNOWN,
    foreign_language,
    language_name,
    speaks_of_a_language,
    tag_of_name,
)
from persona_assets.prompting.answer_schema import answer_columns
from persona_assets.prompting.copies import Copies
from persona_assets.prompting.demonstrations import (
    LANGUAGE,
    STRENGTH,
    Demonstration,
    Pool,
    strings,
    text_of,
)
from persona_assets.prompting.front_matter import FrontMatter, PromptError
from persona_assets.prompting.templates import variables
from persona_assets.settings import Prompting, nearest

_ZERO_SHOT = Prompting()
_NO_INPUTS: Mapping[str, Any] = {}

IN_LANGUAGE = "Write in {}."
"""End of a request for an answer in another language than English, where the prompt has no variable
`language`."""

_OTHER_LETTER = regex.compile(
    r"[\p{L}--[\p{Script=Latin}\p{Script=Greek}\p{Script=Common}]]", regex.V1
)
"""A letter of another script; Greek ones occur in formulas."""

OF_PERSONAS = ("persona", "other", "relation", "parent")
"""Inputs that are about personas: demonstrations of the mode `few-shot` hide them."""


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
        pool_file: File of the demonstrations, for messages.
        personas: Persona by text of the demonstrations that have none of their own; None where they
            are not yet inferred.
        prompting: Mode, number of demonstrations, values of variables.
        shard: Shard key, which draws demonstrations from the pool.
        strength: Strength of the model; "" if unknown.
        language: Name of the language that the settings give to all answers; "" for none.
        assistant: Jinja template of the system message of who answers in a conversation.
        shows_persona: False for a task whose requests leave the persona out.
    """

    name: str
    head: FrontMatter
    system: str
    user: str
    answer: type[BaseModel]
    environment: SandboxedEnvironment
    pool: tuple[Demonstration, ...] = ()
    pool_file: str = ""
    personas: Mapping[str, str] | None = None
    prompting: Prompting = _ZERO_SHOT
    shard: str = ""
    strength: str = ""
    language: str = ""
    assistant: str = ""
    shows_persona: bool = True

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

    def bind(self, prompting: Prompting, shard: str, strength: str = "") -> "Prompt":
        """Return this prompt in a mode, with the demonstrations of a shard.

        All rows of a shard with answers in the same language see the same demonstrations, so that a
        server can cache the constant prefix of the prompt. Different shards see different
        demonstrations, so that no single demonstration shapes the whole hub.

        Args:
            prompting: Mode, number of demonstrations, variables.
            shard: Shard key.
            strength: Strength of the model, which its demonstrations fit; "" for any.

        Raises:
            PromptError: Fewer demonstrations fit than requested, or a variable is unknown.
        """
        bound = replace(self, prompting=prompting, shard=shard, strength=strength)
        bound.shots_in(bound._fixed_language)
        return bound

    def as_role(self, role: str) -> "Prompt":
        """Return this prompt for the model of another role."""
        return replace(self, head=self.head.model_copy(update={"role": role}))

    def in_language(self, name: str) -> "Prompt":
        """Return this prompt for answers in a language, unless a setting names it in a variable.

        Raises:
            PromptError: Fewer demonstrations in that language are in the pool than requested.
        """
        if LANGUAGE in self.prompting.variables:
            return self
        made = replace(self, language=name)
        made.shots_in(name)
        return made

    def with_variables(self, **variables: str) -> "Prompt":
        """Return this prompt with values for variables of its front matter."""
        merged = {**self.prompting.variables, **variables}
        return replace(self, prompting=self.prompting.model_copy(update={"variables": merged}))

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits over all inputs that shape an answer, independent of the shard."""
        pool = self._pool.hashed(self._fixed_language) if self.prompting.shots else ()
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
        return variables(self.system) | variables(self.user) | variables(self.assistant)

    @property
    def can_ask_without_persona(self) -> bool:
        """True if a template has a part for requests with a persona: `{% if persona %}`."""
        tests = (
            condition.test
            for template in (self.system, self.user)
            for condition in self.environment.parse(template).find_all(nodes.If)
        )
        return any(isinstance(test, nodes.Name) and test.name == "persona" for test in tests)

    @property
    def skeletons(self) -> list[str]:
        """System and user message with the names of the inputs in place of their values."""
        return [self._skeleton(self.system), self._skeleton(self.user)]

    @property
    def demonstration_texts(self) -> list[str]:
        """Free text of the demonstrations in use; choices of an `enum` are left out."""
        own = [] if self._fixed_language else self._pool.languages
        languages = dict.fromkeys([self._spoken({}), *own])
        shots = {id(shot): shot for each in languages for shot in self._pool.drawn(each)}
        return [
            text
            for shot in shots.values()
            for name, spec in self.head.output.items()
            if "enum" not in spec
            for text in strings(shot[name])
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
        texts = text_fields(self.head.output)
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
        system = self._render(self._system, inputs)
        messages = [{"role": "system", "content": system}] if system else []
        messages += self._turns(self._spoken(inputs))
        user = self._in_words(self._render(self._user, inputs), inputs.get("language", "English"))
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
        if (fixed := self._fixed_language) is not None:
            return tag_of_name(fixed), {}
        if self._names_its_language:
            return UNKNOWN, {}
        name = language_name(tag)
        if name is None or name == "English":
            return ENGLISH if name is None else tag, {}
        return tag, {"language": name}

    @property
    def _fixed_language(self) -> str | None:
        """Language of all answers, by the settings or the prompt file; None for the row's."""
        default = self.head.variables.get(LANGUAGE, "English")
        fixed = self.language or self.prompting.variables.get(LANGUAGE)
        return default if fixed is None and default != "English" else fixed

    def _spoken(self, inputs: Mapping[str, Any]) -> str | None:
        """Return the language of the answer to a request; None if the prompt says it itself."""
        spoken = inputs.get(LANGUAGE) or self._fixed_language
        if spoken is not None or not self.prompting.shots:
            return spoken
        return None if self._names_its_language else "English"

    @cached_property
    def _names_its_language(self) -> bool:
        return any(
            _OTHER_LETTER.search(text) is not None
            or speaks_of_a_language(text)
            or foreign_language(text, ENGLISH) is not None
            for text in (self._skeleton(self.system), self._skeleton(self.user))
        )

    @property
    def shots(self) -> tuple[Demonstration, ...]:
        """Demonstrations in use where a row asks for no language."""
        return self.shots_in(self._spoken({}))

    def shots_in(self, language: str | None) -> tuple[Demonstration, ...]:
        """Return the demonstrations in use for answers in a language; None for any language.

        Raises:
            PromptError: Fewer demonstrations fit than requested; the message says why others do
                not.
        """
        return self._pool.take(language)

    def shortage(self, inputs: Mapping[str, Any]) -> str | None:
        """Return why a row cannot be asked: too few demonstrations in its language; or None."""
        language = self._spoken(inputs)
        if len(self._pool.drawn(language)) == self.prompting.shots:
            return None
        return f"no_demonstrations: {language}"

    def copies_demonstration(
        self, value: Mapping[str, Any], inputs: Mapping[str, Any] = _NO_INPUTS
    ) -> bool:
        """Return True if an answer repeats a demonstration in its request.

        Fields with an `enum` are ignored: equal choices are no copy.

        Args:
            value: Validated fields of the answer.
            inputs: Inputs of the request.
        """
        if not self.prompting.shots:
            return False
        language = self._spoken(inputs)
        if language not in self._copies:
            self._copies[language] = Copies(map(self._free_text, self._pool.drawn(language)))
        return self._copies[language].has(self._free_text(value))

    @cached_property
    def labels(self) -> frozenset[str]:
        """Members of a demonstration that say for what it is fit.

        The system message holds for the whole request: a demonstration is fit for a value of its
        variables. A variable of the user message alone has its own value in each demonstration.
        """
        of_turn = variables(self.user) - variables(self.system)
        of_system = variables(self.system) & set(self.head.variables)
        return frozenset((of_system | {LANGUAGE, STRENGTH}) - of_turn - set(self.head.output))

    @cached_property
    def _pool(self) -> Pool:
        values = {**self.head.variables, **self.prompting.variables}
        return Pool(
            self.name,
            self.pool_file,
            self.pool,
            self.labels,
            {**values, STRENGTH: self.strength or None},
            self.prompting.shots,
            (self.file, self.shard),
            self.personas if self.prompting.mode == "persona-few-shot" else None,
            tuple(self.head.output),
        )

    # Cached: all rows of a shard share the templates and the demonstrations.
    @cached_property
    def _system(self) -> Template:
        return self.environment.from_string(self.system)

    @cached_property
    def _user(self) -> Template:
        return self.environment.from_string(self.user)

    # By language, for a shard may have rows in several: each set is a constant prefix of its own.
    @cached_property
    def _rendered(self) -> dict[str | None, list[dict[str, str]]]:
        return {}

    @cached_property
    def _copies(self) -> dict[str | None, Copies]:
        return {}

    def _turns(self, language: str | None) -> list[dict[str, str]]:
        """Return the demonstrations for answers in a language as turns."""
        if language not in self._rendered:
            shots = self.shots_in(language)
            self._rendered[language] = [turn for shot in shots for turn in self._turns_of(shot)]
        return self._rendered[language]

    def _turns_of(self, shot: Demonstration) -> list[dict[str, str]]:
        members = self._pool.unlabelled(shot)
        inputs = {key: value for key, value in members.items() if key not in self.head.output}
        if self.head.turns:
            inputs = {"messages": [], "speaker": "", **inputs}
        if self.prompting.mode == "few-shot":
            inputs |= {"persona": "", **{name: "" for name in OF_PERSONAS if name in inputs}}
        elif "persona" not in inputs and self.personas is not None:
            inputs["persona"] = self.personas[text_of(shot, self.head.output)]
        elif "persona" in variables(self.user) - inputs.keys():
            raise PromptError(
                f"prompt {self.name}: a demonstration of {self.pool_file} has no persona: add it, "
                "or materialize demonstration_personas"
            )
        language = self._pool.language_of(shot) or "English"
        try:
            shown = self._render(self._user, inputs)
        except PromptError as error:
            raise PromptError(f"{self.pool_file}: a line lacks an input: {error}") from None
        user = self._in_words(shown, language)
        return [
            {"role": "user", "content": user},
            {"role": "assistant", "content": self._answer_text(shot)},
        ]

    def _in_words(self, user: str, language: str) -> str:
        """Return a user message that asks for a language, if the file has no variable for it."""
        if language == "English" or LANGUAGE in self.head.variables:
            return user
        return f"{user}\n\n{IN_LANGUAGE.format(language)}"

    def _free_text(self, fields: Mapping[str, Any]) -> str:
        free_text = [name for name, spec in self.head.output.items() if "enum" not in spec]
        return " ".join(str(fields[name]) for name in free_text)

    def _answer_text(self, shot: Mapping[str, Any]) -> str:
        fields = {name: shot[name] for name in self.head.output}
        if self.head.format == "text":
            return str(next(iter(fields.values())))
        return json.dumps(fields, ensure_ascii=False)

    def _skeleton(self, template: str) -> str:
        """Render a template with the names of its inputs: the text of includes is part of it."""
        fixed = {**self.head.variables, **self.prompting.variables}
        inputs = {name: _Placeholder(f"<{name}>") for name in variables(template) - set(fixed)}
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


def text_fields(output: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the fields of an `output:` block that are strings without `enum`."""
    return tuple(
        name for name, spec in output.items() if spec["type"] == "string" and "enum" not in spec
    )
