"""Verdict on an answer: repaired, published or dropped, by the rules of each field's kind.

Belongs here: how rules, repairs and protection meet an answer. Does not belong here: any rule.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
from pydantic import ValidationError

from persona_assets.languages import UNKNOWN, speaks_of_a_language
from persona_assets.prompting.prompt import Prompt
from persona_assets.registry import Registry
from persona_assets.rules import BUILTIN, RULES, Rule, RuleContext
from persona_assets.rules.kinds import KINDS, kind_of_field
from persona_assets.rules.protection import DROP, Protection
from persona_assets.rules.protection import VERSION as PROTECTION_VERSION
from persona_assets.rules.repair import repair
from persona_assets.rules.request_text import (
    DEMONSTRATION_RUN,
    RUN,
    RequestText,
    names_language,
    runs_of,
)
from persona_assets.steps.scripts import script_of, scripts_in

VERSION = "2"
"""Version of the rules, repairs and kinds; changes with any verdict of theirs."""

REPAIRS = {"repairs": pl.List(pl.String())}
"""Column of each generated row: names of what was taken off or redacted, in order."""

LATIN_END = "\u036f"
"""Last character of the Latin letters, modifiers and combining marks."""

LEAST_FOREIGN = 12
"""Characters beyond Latin below which the script of a text tells nothing: formulas have some."""


@dataclass(frozen=True)
class Verdict:
    """Verdict on an answer.

    Attributes:
        value: Fields of the answer after repairs.
        repairs: Names of what was taken off or redacted, in order.
        reason: Reason of the rejection, `<rule>` or `<rule>: <field>`; None for a row to publish.
    """

    value: Mapping[str, Any]
    repairs: tuple[str, ...] = ()
    reason: str | None = None


class Verdicts:
    """Verdicts on the answers of a prompt.

    Args:
        prompt: Prompt, bound to a shard.
        protection: What is done about personal data.
        kind: Kind of all fields; None for the kinds in the prompt file.
        rules: Rules by name.

    Example:
        >>> from pathlib import Path
        >>> from persona_assets.prompting.prompt_folder import Prompts
        >>> verdicts = Verdicts(Prompts(Path("prompts"))["instructions"])
        >>> verdicts.of({"instruction": "I'm sorry, but I can't assist with that."}, []).reason
        'refusal'
    """

    def __init__(
        self,
        prompt: Prompt,
        protection: Protection = DROP,
        *,
        kind: str | None = None,
        rules: Registry[Rule] = RULES,
    ) -> None:
        self._prompt = prompt
        self._protection = protection
        self._kind = kind or prompt.head.kind
        self._rules = dict(rules.all())
        self._added = tuple(name for name in self._rules if name not in BUILTIN)
        self._request = request_text(prompt)

    def of(
        self,
        value: Mapping[str, Any],
        sources: Sequence[str],
        language: str = "und",
        *,
        kind: str | None = None,
    ) -> Verdict:
        """Return the verdict on an answer.

        Args:
            value: Validated fields of the answer.
            sources: Texts that the request is about, such as the persona or the problem.
            language: BCP 47 tag of the language that the answer should have; "und" if unknown.
            kind: Kind of all fields of this answer; None for those of the prompt.
        """
        request = self._about(sources)
        repairs: list[str] = []
        repaired: dict[str, Any] = {}
        for name, spec in self._prompt.head.output.items():
            field = _Field(
                self, kind_of_field(kind or self._kind, name, spec), request, language, repairs
            )
            repaired[name] = field.examine(value[name], spec)
            if field.reason is not None:
                place = f": {name}" if self._prompt.head.format == "json" else ""
                return Verdict(value, tuple(repairs), f"{field.reason}{place}")
        if not repairs:
            return Verdict(value)
        try:
            self._prompt.answer.model_validate(repaired)
        except ValidationError:
            return Verdict(value, tuple(repairs), f"{repairs[0]}: what is left is no answer")
        return Verdict(repaired, tuple(repairs))

    def reason_of(self, text: str, kind: str, request: RequestText, language: str) -> str | None:
        """Return the name of the first rule of a kind that rejects a text."""
        script = "" if text.isascii() else _telling_script(text)
        plain = text.replace("\u2019", "'")
        context = RuleContext(plain, language=language, kind=kind, script=script, request=request)
        for name in (*KINDS.get(kind, KINDS["text"]), *self._added):
            if self._rules[name](context):
                return name
        return None

    @property
    def protection(self) -> Protection:
        """What is done about personal data."""
        return self._protection

    def _about(self, sources: Sequence[str]) -> RequestText:
        request, text = self._request, "\n".join(sources)
        scripts = request.scripts if text.isascii() else request.scripts | scripts_in(text)
        named = request.names_language or names_language(text)
        return replace(request, sources=tuple(sources), scripts=scripts, names_language=named)


class _Field:
    """Examination of one field: all its strings, in lists and objects too."""

    def __init__(
        self,
        verdicts: Verdicts,
        kind: str,
        request: RequestText,
        language: str,
        repairs: list[str],
    ) -> None:
        self._verdicts = verdicts
        self._kind = kind
        self._request = request
        self._language = language
        self._repairs = repairs
        self.reason: str | None = None

    def examine(self, value: Any, spec: Mapping[str, Any]) -> Any:
        """Return a value with its strings repaired; set `reason` if a string is rejected."""
        is_choice = "enum" in spec or spec["type"] not in ("string", "list")
        if self.reason is not None or is_choice:
            return value
        if isinstance(value, str):
            return self._examine_text(value, kind_of_field(self._kind, "", spec), spec)
        if "fields" in spec:
            return [
                {name: self.examine(item[name], inner) for name, inner in spec["fields"].items()}
                for item in value
            ]
        return [self.examine(item, spec["items"]) for item in value]

    def _examine_text(self, text: str, kind: str, spec: Mapping[str, Any]) -> str:
        if not text.strip() and not spec.get("min_length"):
            # The prompt file allows an empty field.
            return text
        shorter, taken = repair(text, kind)
        self.reason = self._verdicts.reason_of(shorter, kind, self._request, self._language)
        if self.reason is not None:
            return text
        protected = self._verdicts.protection.apply(shorter, kind)
        self.reason = protected.reason
        self._repairs += [name for name in taken if name not in self._repairs]
        self._repairs += [f"redacted_{kind}" for kind in protected.redacted]
        return protected.text if taken or protected.redacted else text


def expected_language(language: str, texts: Iterable[str]) -> str:
    """Return the language that an answer must be in; UNKNOWN if its request may ask for another.

    Args:
        language: BCP 47 tag of the row.
        texts: Texts of the request that may ask for a translation: questions and messages.

    Example:
        >>> expected_language("en", ["Translate my sign."]), expected_language("en", ["Why?"])
        ('und', 'en')
    """
    asks = any(speaks_of_a_language(text) or names_language(text) for text in texts)
    return UNKNOWN if asks else language


def rules_version(rules: Registry[Rule] = RULES, kind: object = None) -> str:
    """Return the version of all that decides a verdict, names of installed rules included.

    Part of the code version of each asset that applies the rules.

    Args:
        rules: Rules by name.
        kind: `kind` of the prompt file, which decides which rules apply.

    Example:
        >>> rules_version(Registry("none", BUILTIN), "problem")
        '2.1.problem'
    """
    added = [name for name in rules.names() if name not in BUILTIN]
    named = [] if kind is None else [str(kind)]
    return "+".join([".".join([VERSION, PROTECTION_VERSION, *named]), *added])


def count_repairs(repairs: Iterable[Iterable[str]]) -> dict[str, int]:
    """Count repairs by name over rows, most frequent first.

    Example:
        >>> count_repairs([["fence"], [], ["preamble", "fence"]])
        {'fence': 2, 'preamble': 1}
    """
    counts = Counter(name for names in repairs for name in names)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def request_text(prompt: Prompt) -> RequestText:
    """Return the wording of a prompt, with which its answers are compared."""
    shown = "\n".join([*prompt.skeletons, *prompt.demonstration_texts])
    return RequestText(
        runs_of(prompt.wording, RUN),
        runs_of(prompt.demonstration_texts, DEMONSTRATION_RUN),
        material=runs_of(prompt.skeletons, 3),
        scripts=scripts_in(shown),
        names_language=names_language(shown),
    )


def _telling_script(text: str) -> str:
    """Return the script of a text, or "" if too few of its characters are beyond Latin."""
    foreign = sum(character > LATIN_END for character in text)
    return script_of(text) if foreign >= LEAST_FOREIGN else ""
