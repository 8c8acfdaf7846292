"""`persona-assets new-task`: a commented task file, which makes rows as it is."""

import re
from collections.abc import Iterator
from pathlib import Path

from persona_assets.prompting.front_matter import HUB, PromptError
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import Prompts
from persona_assets.settings import nearest


def create_task(
    prompts: Prompts,
    name: str,
    *,
    source: str = HUB,
    personas: int = 1,
    turns: int | None = None,
) -> Path:
    """Write the file of a new task into a folder of prompts.

    Args:
        prompts: Prompt files of the project.
        name: Name of the task.
        source: Task whose samples its rows are made from; the hub for personas.
        personas: Number of personas of a row, 1 or 2.
        turns: Number of messages of a conversation; None for a single answer.

    Returns:
        Path of the written file.

    Raises:
        FileExistsError: There is such a file, which stays as it is.
        PromptError: The name cannot name a task, or there is no task `source`.
    """
    path = prompts.folder / "tasks" / f"{name}.md"
    if not re.fullmatch(r"[a-z]\w*", name, re.ASCII):
        raise PromptError(
            f"a task cannot be named {name!r}: use lower-case letters, digits and _, as in letters"
        )
    if source != HUB and source not in prompts.tasks:
        raise PromptError(
            f"there is no task {source!r}{nearest(source, prompts.tasks)} to make rows from; there "
            f"are {', '.join(sorted(prompts.tasks))}"
        )
    if source != HUB and personas == 2:
        raise PromptError(f"two personas make rows from {HUB}: leave out --from or --personas")
    text = _text(name, prompts.tasks.get(source), personas, turns)
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise FileExistsError(f"{path} exists and stays as it is: choose another name") from None
    return path


def _text(name: str, source: Prompt | None, personas: int, turns: int | None) -> str:
    front = "\n".join(_front_matter(name, source, personas, turns))
    assistant = "\n# Assistant\n\nYou are a helpful assistant.\n" if turns and personas == 1 else ""
    system = _IN_TURNS if turns else _ONCE
    user = "\n\n".join(_user(source, personas, turns))
    return f"---\n{front}\n---\n\n# System\n\n{system}\n\n# User\n\n{user}\n{assistant}"


def _front_matter(
    name: str, source: Prompt | None, personas: int, turns: int | None
) -> Iterator[str]:
    yield "# A sentence on what a row is. The Dagster UI shows it."
    yield f"description: A row of {name}, to be described here."
    if source is not None:
        yield "# Task whose samples the rows are made from, and the fields of it that they keep."
        yield f"from: {source.file}"
        yield f"keep: [{_shown(source)}]"
    if personas == 2:
        yield "# A row is about a persona and another one: hop (one was found through the other),"
        yield "# strangers, or a range of cosines such as [0.3, 0.6]."
        yield "personas: 2"
        yield "related: hop"
    if turns:
        yield "# Number of messages, a call each."
        yield f"turns: {turns}"
        if personas == 1:
            yield "# Role that answers the persona; its instructions are the part # Assistant."
            yield "answers: solver"
    yield "# Kind of text, which decides the rules that an answer passes: see docs/quality.md."
    yield f"kind: {('speech' if personas == 2 else 'instruction') if turns else 'text'}"
    yield "# Model that answers: writer, solver, second_solver or judge."
    yield "role: writer"
    if not turns:
        yield "# text for an answer of one field; json for several, which # System then asks for."
    yield "format: text"
    yield "sampling: {temperature: 0.7, max_tokens: 800}"
    yield "# Fields of an answer; one outside its limits is asked again, and then dropped."
    yield "output:"
    yield f"  {'message' if turns else 'answer'}: {{type: string, min_length: 2, max_length: 4000}}"
    yield "# Words that the templates use and that a setting replaces:"
    yield f'# PERSONA_TASKS={{"{name}": {{"variables": {{"length": "one sentence"}}}}}}'
    yield "variables: {length: 60 to 120 words}"
    yield "# Defaults of the task's settings: docs/settings.md. Without per_shard, all are asked."
    yield "settings: {per_shard: 20}"


def _user(source: Prompt | None, personas: int, turns: int | None) -> Iterator[str]:
    # Demonstrations of the mode few-shot have an empty persona.
    other = "\nThe other: {{ other }} ({{ relation }})" if personas == 2 else ""
    yield f"{{% if persona %}}Person: {{{{ persona }}}}{other}{{% endif %}}"
    if source is not None and source.head.turns:
        yield _MESSAGES if not turns else "{{ opening }}"
    elif source is not None:
        yield f"{{{{ {_shown(source)} }}}}"
    if turns:
        yield _MESSAGES
        yield "Write the next message."
    else:
        yield "Write the answer."


def _shown(source: Prompt) -> str:
    """Return the field of a source that a new file shows."""
    if source.head.turns:
        return "messages"
    return next(iter(source.unique_fields), next(iter(source.head.output)))


_ONCE = """You write what this file asks for. Where a person is given, it is about them or by them.

- Say what makes a good answer, one demand a line.
- Length: {{ length }}."""

_IN_TURNS = """You play a person in a conversation. Write this person's next message, nothing else.

- Say what makes a good message, one demand a line.
- Length: {{ length }}."""

_MESSAGES = """{% for message in messages %}{{ message.speaker }}: {{ message.content }}
{% endfor %}"""
