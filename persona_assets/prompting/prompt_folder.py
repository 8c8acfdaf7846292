"""Prompt files: the only source of text that the project sends to a model.

A prompt is a Markdown file with YAML front matter (front_matter.py), a `# System` and a `# User`
part in Jinja, and, for a conversation, an `# Assistant` part: the system message of who answers.
Its demonstrations are stored in `demonstrations/<name>.jsonl`: per line a JSON object with the
inputs, the output fields, and labels (demonstrations.py). A file in `tasks/` defines a dataset: the
graph has an asset of that name. A file of the same name in `rubrics/` scores its samples.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from jinja2 import FileSystemLoader, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from persona_assets.ids import VARIANT
from persona_assets.prompting.answer_schema import answer_model
from persona_assets.prompting.demonstrations import check_members, read_demonstrations
from persona_assets.prompting.front_matter import PromptError, read_front_matter
from persona_assets.prompting.prompt import Prompt, text_fields
from persona_assets.prompting.templates import template_environment, variables
from persona_assets.settings import ROLES, nearest

_LAYOUT = re.compile(
    r"\A---\n(.*?)\n---\n+# System\n(.*?)\n# User\n(.*?)(?:\n# Assistant\n(.*))?\Z", re.DOTALL
)

RUBRICS = "rubrics/"
"""Prefix of the name of a rubric, before the name of its task."""


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
        environment = template_environment(FileSystemLoader(folder))
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
            variables(part or "")
    except PromptError:
        raise
    except (ValueError, TemplateError) as error:
        raise PromptError(f"{file}: {error}") from None
    if head.format == "text" and len(head.output) != 1:
        raise PromptError(f"{file}: format text needs exactly one output field")
    texts = text_fields(head.output)
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
    shots = prompts / "demonstrations" / f"{name}.jsonl"
    pool = read_demonstrations(shots, answer)
    if (layout[4] is not None) != (head.answers is not None):
        raise PromptError(
            f"{file}: a conversation with an assistant has answers in its front matter and a part "
            "# Assistant, which may be empty; nothing else has either"
        )
    made = Prompt(name, head, layout[2], layout[3], answer, environment, pool)
    made = replace(made, assistant=layout[4] or "", pool_file=str(shots.relative_to(prompts)))
    inputs = {*variables(made.user), *head.output, "persona"}
    check_members(shots, pool, inputs, made.labels)
    return made
