"""Demonstrations of a prompt: how they are read, and which of them fit a request.

A member of a demonstration that is no field of the answer may be a label: the value of a template
variable for which the demonstration is fit, such as `world`, the `language` of its text, or the
`strength` of the models it is written for. A demonstration without a label fits any value.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from persona_assets.ids import uniform
from persona_assets.languages import language_name
from persona_assets.prompting.front_matter import PromptError
from persona_assets.settings import nearest

LANGUAGE, STRENGTH = "language", "strength"

Demonstration = Mapping[str, Any]


def read_demonstrations(file: Path, answer: type[BaseModel]) -> tuple[Demonstration, ...]:
    """Read the demonstrations of a prompt, a JSON object per line; none if there is no file.

    Raises:
        PromptError: A line is no valid answer; the message names the line.
    """
    if not file.exists():
        return ()
    pool: list[Demonstration] = []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            shot = json.loads(line)
            answer.model_validate({key: shot[key] for key in answer.model_fields})
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise PromptError(f"{file} line {number}: {error}") from None
        pool.append(shot)
    return tuple(pool)


def check_members(
    file: Path, pool: Iterable[Demonstration], inputs: Collection[str], labels: Collection[str]
) -> None:
    """Raise PromptError for a member of a demonstration that is nearly the name of a label."""
    for number, shot in enumerate(pool, start=1):
        for member in shot.keys() - {*inputs, *labels}:
            if meant := nearest(member, labels):
                raise PromptError(f"{file} line {number}: unknown member {member!r}{meant}")


@dataclass(frozen=True)
class Pool:
    """Demonstrations of a prompt in a mode, which are drawn by shard and language of the answer.

    Attributes:
        prompt: Name of the prompt.
        file: File of the demonstrations, for messages.
        shots: All of them.
        labels: Members that are labels.
        values: Values by label; None where any value fits.
        number: Number of demonstrations in a request.
        seed: Key of the draw: file of the prompt, and shard.
        personas: Persona by `text_of` for demonstrations without one of their own; None where no
            persona is needed, or none is inferred yet.
        output: Fields of the answer.

    Example:
        >>> shots = ({"answer": "Ebb.", "world": "harbour"}, {"answer": "Ember.", "world": "ash"})
        >>> pool = Pool("npcs", "npcs.jsonl", shots, {"world"}, {"world": "ash"}, 1, ("npcs", "a"))
        >>> pool.drawn("English")
        ({'answer': 'Ember.', 'world': 'ash'},)
    """

    prompt: str
    file: str
    shots: Sequence[Demonstration]
    labels: Collection[str]
    values: Mapping[str, str | None]
    number: int
    seed: tuple[str, str]
    personas: Mapping[str, str] | None = None
    output: Collection[str] = ()

    def take(self, language: str | None) -> tuple[Demonstration, ...]:
        """Return the demonstrations for answers in a language; None for any language.

        Raises:
            PromptError: Fewer fit than requested; the message counts why others do not.
        """
        drawn = self.drawn(language)
        if len(drawn) == self.number:
            return drawn
        misfits = Counter(
            reason for shot in self.shots if (reason := self._misfit(shot, language)) is not None
        )
        held = f"{len(self.shots)} in {self.file}"
        if misfits:
            why = "; ".join(f"{count}: {reason}" for reason, count in misfits.most_common())
            held = f"{len(self.shots) - misfits.total()} of {held} fit ({why})"
        raise PromptError(
            f"prompt {self.prompt}: {self.number} demonstrations asked for and {held}: add some, "
            "or ask for fewer"
        )

    def drawn(self, language: str | None) -> tuple[Demonstration, ...]:
        """Return up to `number` demonstrations that fit.

        A larger number contains every smaller one, and a demonstration that does not fit changes no
        draw.
        """
        if not self.number:
            return ()
        if language not in self._drawn:
            fitting = [shot for shot in self.shots if self._misfit(shot, language) is None]
            order = sorted(range(len(fitting)), key=lambda place: uniform(*self.seed, str(place)))
            self._drawn[language] = tuple(fitting[place] for place in order[: self.number])
        return self._drawn[language]

    def hashed(self, language: str | None) -> list[Demonstration]:
        """Return the demonstrations as far as they shape an answer.

        Labels are left out, but for those of languages other than English where the language is
        that of the row.
        """
        of_file = replace(self, personas=None)
        return [
            self.unlabelled(shot, keep=() if language else (LANGUAGE,))
            if self.language_of(shot) not in (None, "English")
            else self.unlabelled(shot)
            for shot in self.shots
            if of_file._misfit(shot, language) is None
        ]

    def unlabelled(self, shot: Demonstration, keep: Collection[str] = ()) -> Demonstration:
        """Return a demonstration without its labels."""
        gone = {*self.labels} - {*keep}
        return {name: value for name, value in shot.items() if name not in gone}

    def language_of(self, shot: Demonstration) -> str | None:
        """Return the English name of the language in a demonstration's label; None without one."""
        labelled = LANGUAGE in self.labels and LANGUAGE in shot
        return _language(shot[LANGUAGE]) if labelled else None

    @property
    def languages(self) -> list[str]:
        """Languages in the labels of demonstrations."""
        return [name for shot in self.shots if (name := self.language_of(shot)) is not None]

    @cached_property
    def _drawn(self) -> dict[str | None, tuple[Demonstration, ...]]:
        return {}

    def _misfit(self, shot: Demonstration, language: str | None) -> str | None:
        """Return why a demonstration does not fit; None if it does."""
        for label, value in {**self.values, LANGUAGE: language}.items():
            if label not in self.labels or label not in shot or value is None:
                continue
            own = _language(shot[label]) if label == LANGUAGE else str(shot[label])
            if own != value:
                return f"{label} is {own or 'empty'}, not {value or 'empty'}"
        if self.personas is not None and "persona" not in shot:
            known = text_of(shot, self.output) in self.personas
            return None if known else "no persona could be inferred"
        return None


def text_of(shot: Demonstration, output: Iterable[str]) -> str:
    """Return the text of a demonstration, whose writer its persona is.

    Example:
        >>> text_of({"title": "Tides", "article": "Ebb and flow.", "n": 2}, ["title", "article"])
        'Tides\\nEbb and flow.'
    """
    return "\n".join(text for name in output for text in strings(shot[name]))


def strings(value: Any) -> Iterator[str]:
    """Yield all strings of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for member in value.values() for text in strings(member))
    elif isinstance(value, list):
        yield from (text for member in value for text in strings(member))


def _language(value: object) -> str:
    """Return the English name of a language that a tag or a name states."""
    return language_name(str(value)) or str(value)
