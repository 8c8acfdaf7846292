"""A project: its settings, prompts, benchmark and storage, as handed to assets."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from persona_assets.benchmarks.benchmark_file import BenchmarkFile
from persona_assets.benchmarks.problem_sets import BENCHMARK_ACCURACY, problem_sets
from persona_assets.ids import VARIANT, content_id
from persona_assets.languages import language_name
from persona_assets.profiles import PROFILES
from persona_assets.prompting.demonstrations import Demonstration
from persona_assets.prompting.prompt import Prompt
from persona_assets.prompting.prompt_folder import RUBRICS, Prompts
from persona_assets.readers.conversations import read_demonstrations
from persona_assets.rules.protection import Protection
from persona_assets.settings import (
    CONTROL_TASK,
    ROLES,
    TRAINING_OPERATIONS,
    Prompting,
    Settings,
    SettingsError,
    Task,
    merged_task,
    nearest,
)
from persona_assets.steps.contamination import PROBLEMS
from persona_assets.steps.control_problems import PROMPT as CONTROL_PROMPT
from persona_assets.steps.demonstrations import (
    TABLE,
    choose_demonstrations,
    lacking_personas,
    text_id_of,
)
from persona_assets.steps.judged_neighbours import PROMPT as NEIGHBOUR_PROMPT
from persona_assets.storage.storage import Storage

UNIQUENESS = {"unique", "unique_threshold"}
"""Settings of a task that decide its survivors by words, and none of its samples."""

SIMILARITY = {"unique_cosine"}
"""Settings of a task that decide its survivors by meaning, and none of its samples."""

SHOWN = {"demonstrations", "demonstration_fields", "demonstration_limit"}
"""Settings of a task that choose demonstrations, whose content is in its prompt's version."""

DEMONSTRATIONS = "demonstrations"
"""Name under which an asset reads the demonstrations of all tasks."""

JUDGING = {"judge"}
"""Settings of a task that decide which of its samples are judged."""

PARTS = {"unique": UNIQUENESS, "similar": SIMILARITY, "judge": JUDGING}
"""Settings of a task that other tables than its own read, by the name of the part."""

OF_SET = "benchmarks"
"""Prefix of the name under which an accuracy reads the file that it is measured on."""

LATER = frozenset(
    {
        "hub_size",
        "least_novelty",
        "ready_fields",
        "ready_per_shard",
        "personal_data",
        "protected_names",
        "evaluation_samples",
        "sandbox",
        "solutions_per_problem",
        "decontaminate_cosine",
        "decontaminate_judge_from",
        "benchmark_draw",
        "pair_writer_similarity",
    }
)
"""Settings that came later than tables of the assets that read them: a default of theirs is left
out of code versions."""

PROMPT_OF = {"control_problems": CONTROL_PROMPT, "decontaminate_judge_from": NEIGHBOUR_PROMPT}
"""Prompt that a setting needs, and that a project may lack."""

MAKES_PERSONAS = frozenset({"text_to_persona", "persona_to_persona"})
"""Prompts whose answers are personas."""


class Project:
    """Settings, prompts and storage of one project."""

    def __init__(self, settings: Settings) -> None:
        self._given = _with_control_task(settings)
        self.storage = Storage(settings.data_dir)
        self.problem_sets = problem_sets(settings)
        self.benchmark = self.problem_sets.get(BENCHMARK_ACCURACY) or BenchmarkFile(
            settings.benchmark
        )
        self._forbidden = [
            BenchmarkFile(path, "PERSONA_DECONTAMINATE") for path in settings.decontaminate or ()
        ]

    def problem_file(self, accuracy: str) -> BenchmarkFile:
        """Return the file that an accuracy is measured on.

        Raises:
            ValueError: The asset is measured on no file.
        """
        file = self.problem_sets.get(accuracy)
        if file is None:
            raise ValueError(f"{accuracy} is measured on no file")
        return file

    @cached_property
    def settings(self) -> Settings:
        """Settings, with the defaults that the files of tasks give.

        Raises:
            PromptError: A file is malformed.
            SettingsError: The settings of a task do not go with those of its file.
        """
        given = self._given.tasks
        tasks: dict[str, Task] = {}
        for name, prompt in self.prompts.tasks.items():
            task, _, variant = name.partition(VARIANT)
            head = prompt.head
            layers = [head.settings, given.get(task)]
            if variant:
                layers += [head.variants.get(variant), given.get(name)]
            try:
                merged = merged_task(layer for layer in layers if layer is not None)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                raise SettingsError(f"settings of the task {name}: {first['msg']}") from None
            if merged.model_fields_set:
                tasks[name] = merged
        return self._given.model_copy(update={"tasks": {**given, **tasks}})

    @cached_property
    def prompts(self) -> Prompts:
        """Prompt files, read once.

        Raises:
            PromptError: A file is malformed.
            SettingsError: A setting names a task or prompt without a file.
        """
        prompts = Prompts(self._given.prompts, (name for name in self._given.tasks))
        self._check_names("tasks", prompts.tasks)
        self._check_names("prompting", prompts.names)
        self._check_rubrics(prompts)
        for setting, prompt in PROMPT_OF.items():
            if getattr(self._given, setting) and prompt not in prompts.names:
                raise SettingsError(
                    f"setting PERSONA_{setting.upper()}: no prompt at "
                    f"{prompts.folder / prompt}.md: copy it from a new project, as persona-assets "
                    "init writes it, or remove the setting"
                )
        return prompts

    def _check_names(self, setting: str, known: Collection[str]) -> None:
        # A project may remove a task for which its profile has a default.
        defaults = PROFILES[self._given.profile].get(setting, {})
        for name in getattr(self._given, setting):
            if name not in known and name not in defaults:
                raise SettingsError(
                    f"setting PERSONA_{setting.upper()}: no prompt file is named "
                    f"{name!r}{nearest(name, known)}; there are {', '.join(sorted(known))}"
                )

    def _check_rubrics(self, prompts: Prompts) -> None:
        # A project may have no rubric for a task that its profile would have judged.
        defaults = PROFILES[self._given.profile].get("tasks", {})
        in_files = [
            (name, task)
            for name, prompt in prompts.tasks.items()
            for task in (prompt.head.settings, *prompt.head.variants.values())
        ]
        for name, task in [*self._given.tasks.items(), *in_files]:
            by_default = task.judge == defaults.get(name, {}).get("judge")
            if task.judge and prompts.rubric(name) is None and not by_default:
                raise SettingsError(
                    f"setting PERSONA_TASKS__{name}__JUDGE: no rubric at "
                    f"{prompts.folder / RUBRICS / name}.md: write one, as docs/quality describes, "
                    "or remove the setting"
                )

    @cached_property
    def protection(self) -> Protection:
        """Treatment of personal data, with the names of the user's file.

        Raises:
            SettingsError: The file of names cannot be read.
        """
        lines = (line.strip() for line in self._names.splitlines())
        names = [line for line in lines if line and not line.startswith("#")]
        return Protection.of(self.settings.personal_data, names)

    def forbidden_problems(self) -> pl.DataFrame:
        """Return the problems that no problem of the math sets may contain.

        Returns:
            Columns of `contamination.PROBLEMS`.

        Raises:
            BenchmarkError: A file cannot be read.
        """
        files = [self.benchmark] if self.settings.decontaminate is None else self._forbidden
        named = (
            file.problems().select(pl.lit(file.name).alias("benchmark"), "problem_id", "problem")
            for file in files
        )
        return pl.concat([pl.DataFrame(schema=PROBLEMS), *named])

    def prompt(self, name: str, shard: str = "") -> Prompt:
        """Return a prompt in the mode of its settings, with the demonstrations of a shard.

        Args:
            name: Name of the file; `task@variant` for a variant of a task; `name@role` asks the
                model of another role.
            shard: Shard key, which draws the demonstrations.
        """
        file, _, after = name.partition(VARIANT)
        role = after if after in self._given.roles else ""
        file = file if role else name
        prompt = self.prompts[file]
        prompt = prompt.as_role(role) if role else prompt
        if file in self.prompts.tasks and not self.settings.task(file).persona:
            prompt = replace(prompt, shows_persona=False)
        if shots := self._user_shots(file):
            prompt = replace(prompt, pool=shots[0], pool_file=shots[1])
        strength = self.settings.endpoint(prompt.head.role).strength or ""
        prompt = prompt.bind(self._prompting_of(file), shard, strength)
        if language := self._set_language(file):
            prompt = prompt.in_language(language)
        return replace(prompt, personas=self._personas(prompt)) if shots else prompt

    @cached_property
    def texts_without_persona(self) -> list[str]:
        """Texts of users' demonstrations whose writers have to be inferred, each once."""
        texts: dict[str, None] = {}
        for name, task in self.settings.tasks.items():
            if task.infers_personas:
                texts |= dict.fromkeys(lacking_personas(self.prompt(name)))
        return list(texts)

    def _personas(self, prompt: Prompt) -> Mapping[str, str] | None:
        """Return the inferred personas of demonstrations by text; None if there is no table."""
        if self.storage.footer(TABLE, None) is None:
            return None
        rows = self.storage.scan(TABLE, None).select("parent_id", "persona").collect().iter_rows()
        by_id = dict(rows)
        texts = {text: by_id.get(text_id_of(text)) for text in lacking_personas(prompt)}
        return {text: persona for text, persona in texts.items() if persona is not None}

    def _user_shots(self, name: str) -> tuple[tuple[Demonstration, ...], str] | None:
        """Return the demonstrations that a task takes from a user's file, and a name for the file.

        Raises:
            SettingsError: The file does not exist.
        """
        task = self.settings.tasks.get(name)
        if task is None or task.demonstrations is None:
            return None
        if name not in self._read_shots:
            path = task.demonstrations
            if not path.is_file():
                raise SettingsError(
                    f"setting PERSONA_TASKS__{name}__DEMONSTRATIONS: no file at {path}: correct "
                    "the path"
                )
            prompt = self.prompts[name]
            records = read_demonstrations(path, prompt.head.output, task.demonstration_fields or {})
            chosen, reasons = choose_demonstrations(
                records,
                prompt,
                task.demonstration_limit,
                self.protection,
                self._set_language(name) or task.variables.get("language"),
            )
            unfit = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
            self._read_shots[name] = chosen, f"{path} (unfit: {unfit})" if unfit else str(path)
        return self._read_shots[name]

    @cached_property
    def _read_shots(self) -> dict[str, tuple[tuple[Demonstration, ...], str]]:
        return {}

    def _prompting_of(self, name: str) -> Prompting:
        """Return the prompting of a prompt; a rubric has the variables of its task, too."""
        given = self.settings.prompting_of(name)
        if not name.startswith(RUBRICS):
            return given
        task = name.removeprefix(RUBRICS)
        given = self.settings.prompting_of(name.partition(VARIANT)[0])
        of_task = {
            **self.prompts.tasks[task].head.variables,
            **self.settings.prompting_of(task).variables,
        }
        own = self.prompts[name].head.variables
        shared = {variable: value for variable, value in of_task.items() if variable in own}
        return given.model_copy(update={"variables": {**shared, **given.variables}})

    def _set_language(self, prompt: str) -> str | None:
        """Return the name of the language that the settings give to a prompt's answers."""
        is_task = prompt in self.prompts.tasks
        if not is_task and prompt not in MAKES_PERSONAS:
            return None
        own = self.settings.task(prompt).language if is_task else None
        tag = own or self.settings.language
        return None if tag is None else language_name(tag)

    def code_version(
        self,
        step_version: str,
        prompts: Iterable[str],
        settings: Iterable[str],
        files: Iterable[str] = (),
    ) -> str:
        """Hash everything that decides an asset's rows besides its inputs.

        Args:
            step_version: VERSION of the step.
            prompts: Prompt names; the models that answer them count too. A prompt for an optional
                role that is not set is not asked, and does not count.
            settings: Setting names, roles (their model counts), task names, "TASK.unique" and
                "TASK.similar" (what decides a task's survivors), "TASK.judge" (what is judged), or
                "benchmark", "decontaminate" and "benchmarks.ASSET", the file that an accuracy is
                measured on (names and contents of the files count).
            files: Paths of further files; their names and content count.

        Returns:
            16 hexadecimal digits.

        Raises:
            OSError: A file cannot be read.
        """
        parts = [step_version]
        for name in prompts:
            prompt = self.prompt(name)
            if not self.settings.has_role(prompt.head.role):
                continue
            parts += [name, prompt.version, self._model(prompt.head.role)]
        for name in settings:
            if name == "decontaminate" and self.settings.decontaminate is None:
                # As before the setting: a table that was made by the same benchmark is known.
                name = "benchmark"
            if name not in LATER or getattr(self.settings, name) != _default(name):
                parts += [name, self._value(name)]
        for file in files:
            parts += ["file", file, hashlib.sha256(Path(file).read_bytes()).hexdigest()]
        return content_id(*parts)[:16]

    def _value(self, setting: str) -> str:
        if setting in ROLES:
            return self._model(setting)
        if setting == DEMONSTRATIONS:
            return content_id(*self.texts_without_persona)
        if setting == "benchmark":
            return self.benchmark.identity
        if file := self.problem_sets.get(setting.removeprefix(f"{OF_SET}.")):
            return file.identity
        if setting == "decontaminate":
            return content_id(*(file.identity for file in self._forbidden))
        if setting == "protected_names":
            # The content counts, wherever the file is.
            return content_id(self._names)
        task, _, part = setting.partition(".")
        if task in self.prompts.tasks:
            of_task = self.settings.task(task)
            if part:
                return of_task.model_dump_json(include=PARTS[part])
            return of_task.model_dump_json(exclude=UNIQUENESS | SIMILARITY | JUDGING | SHOWN)
        if setting == "training":
            operations = {setting: set(TRAINING_OPERATIONS)}
            return self.settings.model_dump_json(include={setting}, exclude=operations)
        return self.settings.model_dump_json(include={setting})

    @cached_property
    def _names(self) -> str:
        path = self.settings.protected_names
        try:
            return path.read_text("utf-8-sig") if path else ""
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"setting PERSONA_PROTECTED_NAMES: {path} is no readable UTF-8 file of names, one "
                f"per line ({error})"
            ) from None

    def _model(self, role: str) -> str:
        # Address and limits of an endpoint change no answer.
        answering = {"model", "weights_sha256", "sampling", "structured_output"}
        endpoint = self.settings.endpoint(role)
        # A figure of a server that may have held other weights is made again.
        listed = " listed" if role == "evaluation" and not endpoint.embedded else ""
        return endpoint.model_dump_json(include=answering) + listed


def _with_control_task(settings: Settings) -> Settings:
    """Return settings with the task of the control arm, if it is trained.

    Raises:
        SettingsError: It is not trained, and a task of its name would be asked with personas.
    """
    given = settings.tasks.get(CONTROL_TASK, Task(persona=False))
    if not settings.train_without_personas:
        if given.persona:
            raise SettingsError(
                f"setting PERSONA_TASKS__{CONTROL_TASK}: it would be asked with personas: set "
                "PERSONA_TRAIN_WITHOUT_PERSONAS=true, or remove it"
            )
        return settings
    task = given.model_copy(update={"persona": False})
    return settings.model_copy(update={"tasks": {**settings.tasks, CONTROL_TASK: task}})


def _default(setting: str) -> object:
    return Settings.model_fields[setting].get_default(call_default_factory=True)
