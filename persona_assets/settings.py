"""Settings of a project.

`PERSONA_*` environment variables win over the profile that `PERSONA_PROFILE` names (`paper` unless
set; see profiles.py). The commands and Dagster first load `.env` into the environment. Nested
values use two underscores: `PERSONA_WRITER__MODEL=gpt-4o`.

The string under each field is its description: `docs/settings.md` is generated from it. Names,
order and values of fields are hashed into the versions of tables; descriptions are not.
"""

import json
import os
import re
import shlex
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableValue

from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.ids import VARIANT
from persona_assets.languages import language_name
from persona_assets.profiles import PAPER, PROFILES
from persona_assets.training.job import Hyperparameters
from persona_assets.training.training_run import TrainingRun, training_runs

Mode = Literal["zero-shot", "few-shot", "persona-few-shot"]
Precision = Literal["fp32", "int8"]
Stratum = Literal["hop", "language", "cluster"]
DEMONSTRATION_LIMIT = 100
SERVE_PARTS = ("{path}", "{name}", "{port}")
BASELINE_ROLE = "baselines__"
"""Prefix of the role of a baseline, before its name."""

ROLES = ("writer", "solver", "second_solver", "judge", "evaluation", "embedder", "pair_writer")

NO_PERSONA = f"{VARIANT}no_persona"
"""Variant of the tables of the math experiment whose problems were made without personas."""

CONTROL_TASK = f"math_problems{NO_PERSONA}"
"""Task that asks for them."""

TWO_MODELS = 0.9
"""Cosine of the pairs for which two models write (figure 10, c)."""


class SettingsError(ValueError):
    """Unknown setting or impossible value; the message names it and the correction."""


class ModelEndpoint(Endpoint):
    """Model of a role: an OpenAI-compatible endpoint, or a model on this machine."""

    embedded: bool = False
    """True for a model that runs on this machine; `base_url`, key and price are then unused."""

    strength: Literal["small", "large"] | None = None
    """Strength of the model: it is shown the demonstrations with this label `strength`, and those
    without such a label. Null for all."""

    @property
    def on_this_machine(self) -> bool:
        """True if the project runs the model's server itself: its calls cost nothing."""
        return self.embedded

    @field_validator("sampling")
    @classmethod
    def _numbers(cls, sampling: dict[str, Any]) -> dict[str, Any]:
        # An environment variable such as PERSONA_WRITER__SAMPLING__TEMPERATURE is text.
        return {name: _parsed(value) for name, value in sampling.items()}


class EvaluationEndpoint(ModelEndpoint):
    """Endpoint of the fine-tuned models: `model` is the begin of their served names.

    A model is served under `<model>-<first 12 digits of its weights' SHA-256>`. Without `embedded`,
    `base_url` and `serve`, the run starts vLLM where it is installed.
    """

    serve: str | None = None
    """Command that starts the server of a fine-tuned model, such as `vllm serve {path}
    --served-model-name {name} --port {port}`: the run starts it for each training size, waits until
    it lists the name, and ends it. It is executed without a shell, and listens on 127.0.0.1. The
    variables `VLLM_API_KEY` and `LLAMA_API_KEY` hold the key that it may demand. Null for vLLM, or
    llama-server for a GGUF file, where `base_url` is null and that program is installed."""

    serve_timeout: float = Field(default=1800.0, gt=0)
    """Seconds within which a server that the run starts must list the model."""

    @property
    def on_this_machine(self) -> bool:
        """True if the project runs the model's server itself: its calls cost nothing."""
        return self.embedded or self.base_url is None

    @field_validator("serve")
    @classmethod
    def _is_a_template(cls, command: str | None) -> str | None:
        if command is None:
            return None
        words = shlex.split(command)
        if missing := [part for part in SERVE_PARTS if not any(part in word for word in words)]:
            raise ValueError(f"the command has no {missing[0]}: it needs {' '.join(SERVE_PARTS)}")
        if any(word.partition("=")[0] == "--api-key" for word in words):
            raise ValueError(
                "--api-key would show the key to every user of the machine: leave it out, since "
                "the run hands the server a key in VLLM_API_KEY and LLAMA_API_KEY"
            )
        return command

    @model_validator(mode="after")
    def _has_one_server(self) -> Self:
        if self.serve is not None and (self.embedded or self.base_url is not None):
            raise ValueError(
                "SERVE starts a server at an address of its own: remove it, or set EMBEDDED to "
                "false and BASE_URL to null"
            )
        if self.on_this_machine and self.transport == "batch":
            raise ValueError("a server on this machine has no Batch API: set TRANSPORT to online")
        return self


class Prompting(BaseModel):
    """Mode, demonstrations and variables of a prompt (section 3)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    mode: Mode = "zero-shot"
    """Prompt mode (section 3): no demonstrations, demonstrations, or demonstrations with a persona
    each."""

    shots: int = Field(default=0, ge=0)
    """Number of demonstrations; 0 in the mode `zero-shot`, at least 1 in the others."""

    variables: dict[str, str] = Field(default_factory=dict)
    """Values for the prompt's template variables, such as `focus` of `math_problems`."""

    @model_validator(mode="after")
    def _shots_fit_the_mode(self) -> "Prompting":
        if (self.mode == "zero-shot") != (self.shots == 0):
            raise ValueError(f"mode {self.mode} does not go with shots={self.shots}")
        return self


def _is_none(value: object) -> bool:
    return value is None


def _is_zero(value: object) -> bool:
    return value == 0


def _is_true(value: object) -> bool:
    return value is True


def _is_default_limit(value: object) -> bool:
    return value == DEMONSTRATION_LIMIT


def _listed(value: Any) -> Any:
    """Read a list as an environment variable writes it: JSON, a single value, or commas."""
    value = _parsed(value)
    if isinstance(value, str):
        return [part for part in map(str.strip, value.split(",")) if part]
    return [value] if isinstance(value, int) else value


# A member that is not set is not written, so that it enters no code version.
_Unset = Field(default=None, exclude_if=_is_none)
_Names = Annotated[tuple[str, ...] | None, BeforeValidator(_listed), _Unset]


class Task(Prompting):
    """Prompting of a task, the personas that it asks, and its samples per persona."""

    share: float = Field(default=1.0, ge=0, le=1)
    """Share of the hub that the task uses, drawn by a hash of persona and task."""

    per_shard: int | None = Field(default=None, ge=0)
    """Maximum number of personas per shard; null for no limit."""

    per_persona: int = Field(default=1, ge=1)
    """Number of samples per persona."""

    hops: Annotated[tuple[int, ...] | None, BeforeValidator(_listed), _Unset] = None
    """Hops whose personas are asked, such as `0,1`; 0 are personas made from texts. Null for all,
    here and below."""

    relations: _Names = None
    """Relations of the personas that are asked: a persona's relation, or its perspective on the
    text, contains all words of an entry."""

    languages: _Names = None
    """Languages of the personas that are asked, as tags: `zh` admits `zh-Hant`."""

    licences: _Names = None
    """Licences of the personas that are asked; `*` stands for any characters."""

    sources: _Names = None
    """Sources of the texts whose personas are asked; `*` stands for any characters."""

    words: str | None = Field(default=None, min_length=1, exclude_if=_is_none)
    """Words of the personas that are asked: a persona contains all words of an alternative.
    Alternatives are separated by a vertical bar."""

    like: str | None = Field(default=None, min_length=1, exclude_if=_is_none)
    """Description of the personas that are asked, by meaning; needs `similarity`, `nearest` or
    both. It is embedded by the role `embedder`."""

    similarity: float | None = Field(default=None, ge=-1, le=1, exclude_if=_is_none)
    """Cosine to the description `like` from which personas are asked."""

    nearest: int | None = Field(default=None, ge=1, exclude_if=_is_none)
    """Number of personas per shard that are nearest to the description `like`."""

    stratify: Annotated[tuple[Stratum, ...] | None, BeforeValidator(_listed), _Unset] = None
    """Columns of a persona, `hop`, `language` and `cluster` (on the map of the hub), over whose
    values the personas of `per_shard` are spread evenly, as far as there are enough of each; null
    for a plain draw. A refit of the map draws the personas of a task with `cluster` anew."""

    language: str | None = Field(default=None, exclude_if=_is_none)
    """Tag of the language of the samples; null for that of the persona."""

    persona: bool = Field(default=True, exclude_if=_is_true)
    """Whether requests show the persona. False asks as often and in the same languages without, for
    comparison, by a prompt with a part `{% if persona %}`."""

    judge: float | None = Field(default=None, ge=0, le=1, exclude_if=_is_none)
    """Share of the samples that the role `judge` scores by the rubric `prompts/rubrics/<task>.md`;
    a sample below a threshold is dropped. Null for no judge."""

    demonstrations: Path | None = Field(default=None, exclude_if=_is_none)
    """File of demonstrations in place of those of the prompts folder: conversations in the shape of
    WildChat, ShareGPT or the chat API, of which the user's first message is taken, or records with
    the fields of the answer; JSON lines, a JSON array or Parquet. In the mode `persona-few-shot`
    the asset `demonstration_personas` infers who would write each."""

    demonstration_fields: dict[str, str] | None = Field(default=None, exclude_if=_is_none)
    """Dotted path of each field of the answer, and of `persona` and `language`, in files of
    demonstrations whose members have other names."""

    demonstration_limit: int = Field(
        default=DEMONSTRATION_LIMIT, ge=1, exclude_if=_is_default_limit
    )
    """Number of demonstrations taken from the head of the file, unfit ones not counted. In the mode
    `persona-few-shot` each costs a call."""

    @property
    def infers_personas(self) -> bool:
        """True if the demonstrations are a user's, and each is shown with a persona."""
        return self.demonstrations is not None and self.shown_mode == "persona-few-shot"

    @property
    def shown_mode(self) -> Mode:
        """Mode of the requests: without a persona, demonstrations have none either."""
        return "few-shot" if self.mode == "persona-few-shot" and not self.persona else self.mode

    @property
    def chooses(self) -> bool:
        """True if the task asks not all personas of the hub, draws left aside."""
        choices = ("hops", "relations", "languages", "licences", "sources", "words", "like")
        return any(getattr(self, name) is not None for name in choices)

    @model_validator(mode="after")
    def _meaning_is_complete(self) -> "Task":
        bounds = (self.similarity, self.nearest)
        if self.like is None and bounds != (None, None):
            raise ValueError("similarity and nearest need a description: set LIKE")
        if self.like is not None and bounds == (None, None):
            raise ValueError("LIKE needs SIMILARITY (a cosine), NEAREST (a number) or both")
        return self

    @field_validator("language")
    @classmethod
    def _language_has_a_name(cls, tag: str | None) -> str | None:
        return _known_language(tag)

    unique: bool = True
    """Whether near-duplicate samples are left out of `unique_<task>`."""

    # By way of text: Fraction(0.9) is not nine tenths.
    unique_threshold: Annotated[Fraction, BeforeValidator(str), Field(gt=0, le=1)] = Fraction(9, 10)
    """Jaccard similarity of word sets from which two samples are duplicates, as a fraction."""

    unique_cosine: float | None = Field(default=None, gt=0, le=1, exclude_if=_is_none)
    """Cosine above which two samples that differ in words are duplicates, too; null compares words
    alone. Samples are then embedded by the role `embedder`."""


class Training(BaseModel):
    """Fine-tuning (section 4.1.2)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    base_model: str
    """Base model: a folder, a name on the Hugging Face hub, or an embedded model's name."""

    hyper: Hyperparameters
    """Hyper-parameters of the fine-tuning."""

    evaluation_share: float = Field(default=0.0, ge=0, lt=1, exclude_if=_is_zero)
    """Share of the training rows kept apart for the evaluation loss, the same for every size; 0 for
    no such loss. Another share trains other rows."""

    evaluations: int = Field(default=10, ge=1)
    """Number of evaluations of a training, evenly spaced, the last after its last step."""

    checkpoint_seconds: float | None = Field(default=600.0, gt=0)
    """Seconds between two checkpoints, from which a killed training goes on; null for no such
    interval. A training that ends sooner writes none."""

    checkpoint_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps between two checkpoints; null for no such interval."""

    processes: int | None = Field(default=None, ge=1)
    """Number of processes, one per GPU; null for that of the configuration of accelerate, or one.
    """

    accelerate_config: str | None = None
    """Configuration of accelerate: `fsdp2` (weights sharded over 8 GPUs), `ddp` (a copy of the
    weights on each GPU), `cpu`, or a file that `accelerate config` wrote; null for `ddp` if there
    are several processes."""

    device_gib: float | None = Field(default=None, gt=0)
    """Memory of each device in GiB, held against the needs of a training before it starts; null to
    ask `nvidia-smi`, or the system where there is no GPU."""


TRAINING_OPERATIONS = frozenset(
    {
        "evaluations",
        "checkpoint_seconds",
        "checkpoint_steps",
        "processes",
        "accelerate_config",
        "device_gib",
    }
)
"""Members of `training` that decide how a model is trained, and not which."""


class Settings(BaseSettings):
    """Settings of a project. `Settings.load()` reports a mistake as a `SettingsError`."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="PERSONA_",
        env_nested_delimiter="__",
        env_parse_none_str="null",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    profile: Literal["paper", "current", "demo"] = "paper"
    """Named set of default values: `paper` for the constants and models of arXiv 2406.20094,
    `current` for the same constants with models that are served today, `demo` for small limits and
    models that run on this machine."""

    data_dir: Path
    """Folder for all output: tables, quarantine, journals, models, catalog, Dagster's home."""

    corpus: Path = Path("data/corpus")
    """Folder of corpus files; each file is a shard."""

    prompts: Path = Path("prompts")
    """Folder of prompt files."""

    benchmark: Path = Path("data/benchmarks/sample.jsonl")
    """Problems with known answers, in the layout of MATH, GSM8K or AIME."""

    benchmarks: tuple[str, ...] | None = None
    """Problem sets that fine-tuned models are measured on, an accuracy each: `synthetic` for the
    test set made here, and files in the layouts of a benchmark; a bare name such as `math` is the
    file `math.jsonl` in `data/benchmarks/`. Null for `synthetic` and the benchmark."""

    decontaminate: tuple[Path, ...] | None = None
    """Files of problems that no training and no test problem may contain, in the layouts of a
    benchmark; null for the benchmark. Where they are set, another benchmark trains nothing anew.
    `scaling_curve` names the problem sets of `benchmarks` that are not among them."""

    decontaminate_cosine: float | None = Field(default=None, gt=0, le=1)
    """Cosine above which a problem contains a problem of `decontaminate` that has the same numbers
    and formulas, such as 0.9, whatever its words; null compares words alone. Problems are then
    embedded by the role `embedder`."""

    decontaminate_judge_from: float | None = Field(default=None, gt=0, lt=1)
    """Cosine, below `decontaminate_cosine`, above which the role `judge` is asked whether a problem
    is the same as one of `decontaminate`, such as 0.7, where neither words nor meaning decide: at
    most the three nearest of a problem. Null asks no judge."""

    model_dir: Path = Path("~/.cache/persona_assets/models")
    """Folder for the weights of embedded models."""

    corpus_fields: dict[str, str] = Field(default_factory=dict)
    """Dotted path of each column in corpus files whose columns have other names."""

    ready_personas: Path | None = None
    """Folder of tables of ready personas, which join those made from texts and cost no call; each
    file is a shard. Null for none."""

    ready_fields: dict[str, str] | None = None
    """Dotted path of each column (`persona`, `source`, `licence`, `language`) in tables of ready
    personas whose columns have other names; null for the names of the known data sets."""

    ready_per_shard: int | None = Field(default=None, ge=1)
    """Number of ready personas read from the head of each of their shards; null for all."""

    texts_per_shard: int | None = Field(ge=1)
    """Number of texts read from the head of each shard; null for all."""

    text_chars: int = Field(ge=100)
    """Maximum number of characters of a text that a prompt contains."""

    perspectives: tuple[str, ...] = Field(min_length=1)
    """Perspectives on a text that Text-to-Persona can ask for (section 2.1)."""

    perspectives_per_text: int = Field(ge=1)
    """Number of perspectives asked per text."""

    language: str | None = None
    """Tag of the language of all personas, and of samples unless their task sets another, such as
    `de`; null for the language of the text. Tables of versions that asked for English whatever the
    text keep to it until their prompt changes."""

    relations_per_persona: int = Field(ge=1)
    """Maximum number of related personas kept per persona and hop (section 2.2)."""

    personas_per_hop: int | None = Field(ge=0)
    """Maximum number of personas expanded per shard and hop; null for all."""

    hub_size: int | None = Field(default=None, ge=0)
    """Number of personas to make, over all shards and before filters and near-duplicates; null for
    all. A shard's part is proportional to the size of its file and fixed when its first hop is
    made; raising the number buys the difference."""

    least_novelty: float | None = Field(default=None, ge=0, le=1)
    """Share of the personas made by an expansion that must be new to the shard; otherwise none of
    them is expanded. Null for no such rule."""

    lexical_method: Literal["auto", "exact", "minhash"]
    """Search for lexical near-duplicates: `exact` finds every pair, `minhash` is the paper's
    method, `auto` is `exact` unless the threshold is below 3/4 and there are more than 300,000
    personas."""

    # By way of text: Fraction(0.9) is not nine tenths.
    lexical_threshold: Annotated[Fraction, BeforeValidator(str), Field(gt=0, le=1)]
    """Jaccard similarity of word sets from which two personas are duplicates, as a fraction."""

    semantic_threshold: float = Field(gt=0, le=1)
    """Cosine above which two personas are duplicates."""

    survivor_priority: Literal["arrival", "content"] = "arrival"
    """Order in which duplicates survive: `arrival` keeps the persona of the earlier shard, so that
    a new shard changes no earlier decision; `content` keeps the lower id, so that the order of
    shards decides nothing."""

    dedup_engine: Literal["local", "spark"] = "local"
    """Engine of the lexical join; both give the same result."""

    dedup_threads: int | None = Field(default=None, ge=1)
    """Number of threads of the joins; null for the number of processors."""

    spark_master: str = "local[*]"
    """Spark master URL, for the engine `spark`."""

    embedder: ModelEndpoint
    """Role that embeds personas, samples of tasks with `unique_cosine`, and math problems where
    `decontaminate_cosine` is set."""

    embedding_dimensions: int | None = Field(ge=1)
    """Dimensions requested from the embedding endpoint; null for the endpoint's default."""

    embedding_precision: Precision = "fp32"
    """Precision of the embedded model. `int8` takes half the time; pairs near the threshold are
    then decided by `fp32`."""

    embedding_bytes: int = Field(default=8_000, ge=100)
    """Maximum number of UTF-8 bytes of a sample that are embedded; of a longer sample only the
    beginning is compared. A token has at least a byte: the default suits endpoints that read 8,191
    tokens. The embedded model reads 254 tokens, about 1,000 letters."""

    writer: ModelEndpoint
    """Role that writes personas and samples."""

    solver: ModelEndpoint
    """Role that solves math problems, in prose and by program."""

    second_solver: ModelEndpoint
    """Role that solves math problems once more, for the agreement of two of three."""

    judge: ModelEndpoint
    """Role that scores samples by a rubric, if their task sets `judge`, and decides whether two
    answers are equal, if `equality` is `judge`."""

    evaluation: EvaluationEndpoint
    """Role that serves the fine-tuned model."""

    pair_writer: ModelEndpoint | None = None
    """Role that writes problems for pairs of personas beside the writer, so that two models are
    compared (figure 10, c); null for no such panel."""

    max_quarantine_share: float = Field(ge=0, le=1)
    """Share of unusable answers above which a table's partition fails, and of dropped rows above
    which its asset check warns."""

    run_budget: Decimal | None = Field(default=None, gt=0)
    """Maximum spending of a run in US dollars; null for no limit."""

    backfill_budget: Decimal | None = Field(default=None, gt=0)
    """Maximum spending of runs started together (a command, a backfill or a night's schedule) in US
    dollars; null for no limit."""

    unasked_budget: Decimal | None = Field(default=Decimal(10), gt=0)
    """Maximum spending in US dollars of a run, and of runs started together, where neither budget
    is set and nobody agreed to the forecast: `persona-assets run` asks in a terminal if the
    forecast is higher. Calls of unknown price are not counted. Null for no limit."""

    ledger_url: str | None = Field(default=None, repr=False)
    """Postgres URL of a ledger that several machines share; null for a SQLite file in `data_dir`.
    """

    dagster_postgres_url: str | None = Field(default=None, repr=False)
    """Postgres URL of Dagster's runs, events and schedules, for more than a few runs at once; null
    for SQLite files in `data_dir`."""

    max_rejected_share: float = Field(default=0.5, ge=0, le=1)
    """Share of rows rejected by rules, by a judge or for an unusable answer above which the table's
    check fails and no paid step reads the table: above it with a confidence of 95 %."""

    prompting: dict[str, Prompting] = Field(default_factory=dict)
    """Mode, demonstrations and variables by prompt name."""

    tasks: dict[str, Task] = Field(default_factory=dict)
    """Mode, demonstrations, variables and share of the hub by task name."""

    personal_data: Literal["drop", "redact", "keep"] = "drop"
    """Treatment of personal data in personas and samples: `drop` drops the row, `redact` replaces
    the data by a mark such as `[redacted email]`, `keep` looks for none."""

    protected_names: Path | None = None
    """Text file of people's full names, a name per line, that count as personal data; null for
    none."""

    held_out_share: float = Field(ge=0, le=1)
    """Share of math problems held out for the synthetic test."""

    solutions_per_problem: int = Field(default=1, ge=1)
    """Number of solutions that the role `solver` writes to each math problem, besides its program.
    Of several, all but the first at temperature 0.7, the first with the answer of the majority is
    kept, and a problem without a majority has none. A higher number buys the difference."""

    sandbox: Literal["auto", "light", "isolated"] = "auto"
    """Where programs of models run: `light` is an interpreter without the outer world, sympy and
    numpy; `isolated` a full Python with both, which needs Linux; `auto` runs in the isolated one
    what fails in the light one, as far as this machine can isolate."""

    equality: Literal["judge", "math_verify"]
    """Comparison of answers: `math_verify` reads them as mathematics, `judge` also asks a model
    about those on which that decides nothing."""

    judged_answers: int = Field(default=0, ge=0)
    """Number of distinct pairs of expected and given answers that the role `judge` grades beside
    the graders by text and by algebra, in `grader_verdicts`; as many more at most that the algebra
    leaves undecided. 0 asks no judge; 200 show how far the graders agree."""

    training_sizes: tuple[PositiveInt, ...]
    """Numbers of training examples; one model is fine-tuned per size, and seed."""

    training_seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] | None = None
    """Seeds of the fine-tuning, such as `[0, 1, 2]`: a model per size and seed, since another seed
    gives another accuracy. Null for the seed of the hyper-parameters alone."""

    train_without_personas: bool = False
    """Control arm of the math experiment: as many problems are asked for by the same prompt without
    a persona, solved in the same way, and models are fine-tuned on them, a model per size and seed.
    About doubles the calls for problems and solutions."""

    training: Training
    """Base model and hyper-parameters of the fine-tuning."""

    benchmark_limit: int | None = Field(ge=1)
    """Number of problems used of each benchmark; null for all."""

    benchmark_draw: Literal["random", "stratified"] = "random"
    """Draw of the problems of `benchmark_limit`: `stratified` takes each subject and level in
    proportion."""

    evaluation_samples: int = Field(default=1, ge=1)
    """Number of replies of an evaluated model per problem, of which the most frequent answer
    counts; 1 for the paper's single greedy reply. More need a temperature above 0, such as
    `PERSONA_EVALUATION__SAMPLING__TEMPERATURE=0.7`."""

    baselines: dict[str, ModelEndpoint] = Field(default_factory=dict)
    """Models by name that are measured beside the fine-tuned ones, on the same problems: endpoints,
    or embedded models such as the base model before training. None unless set."""

    pair_similarities: tuple[float, ...]
    """Cosines at which persona pairs are drawn for the diversity report (figure 10)."""

    pair_tolerance: float = Field(gt=0)
    """Maximum distance of a pair's cosine from the requested value."""

    pairs_per_bucket: int = Field(ge=1)
    """Number of pairs per requested cosine."""

    pair_writer_similarity: float | None = Field(default=None, validate_default=True)
    """Cosine of the pairs for which both `writer` and `pair_writer` write; null for 0.9, that of
    the paper, where there is a `pair_writer`."""

    control_problems: int | None = Field(default=None, ge=2)
    """Number of math problems per control arm: with full personas, with their occupations only,
    with as many words about nobody, and without a persona, each problem a call. From 20 on
    intervals are given; differences show with hundreds. Null for no control arms."""

    @field_validator("language")
    @classmethod
    def _has_a_name(cls, tag: str | None) -> str | None:
        return _known_language(tag)

    @field_validator("decontaminate_judge_from")
    @classmethod
    def _is_below_the_cosine(cls, cosine: float | None, info: ValidationInfo) -> float | None:
        upper = info.data.get("decontaminate_cosine")
        if cosine is not None and (upper is None or cosine >= upper):
            raise ValueError(
                "the judge is asked below PERSONA_DECONTAMINATE_COSINE: set that to a higher "
                "number, such as 0.9"
            )
        return cosine

    @field_validator("training_seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if seeds is not None and len(set(seeds)) < len(seeds):
            raise ValueError("a seed is named twice: the model would be the same")
        return seeds

    @field_validator("pair_writer_similarity")
    @classmethod
    def _is_of_two_models(cls, similarity: float | None, info: ValidationInfo) -> float | None:
        if info.data.get("pair_writer") is None:
            return None
        return TWO_MODELS if similarity is None else similarity

    @field_validator("embedding_precision")
    @classmethod
    def _is_ours_to_choose(cls, precision: Precision, info: ValidationInfo) -> Precision:
        embedder = info.data.get("embedder")
        if precision != "fp32" and embedder is not None and not embedder.embedded:
            raise ValueError(
                f"{precision} is for the embedded model: set PERSONA_EMBEDDER__EMBEDDED=true and "
                "its PERSONA_EMBEDDER__MODEL, or leave the precision to the endpoint"
            )
        return precision

    @field_validator("baselines")
    @classmethod
    def _baselines_have_plain_names(
        cls, baselines: dict[str, ModelEndpoint]
    ) -> dict[str, ModelEndpoint]:
        for name in baselines:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
                raise ValueError(
                    f"{name!r} is no name of a baseline: use letters, digits, dots and hyphens"
                )
        return baselines

    @field_validator("solutions_per_problem")
    @classmethod
    def _solutions_differ(cls, solutions: int, info: ValidationInfo) -> int:
        solver = info.data.get("solver")
        if solutions > 1 and solver is not None and solver.sampling.get("temperature") == 0:
            raise ValueError(
                "several solutions at temperature 0 would be the same: remove the TEMPERATURE of "
                "PERSONA_SOLVER__SAMPLING"
            )
        return solutions

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add the profile as the source of lowest precedence."""
        sources = (init_settings, env_settings)
        name = next((v["profile"] for s in sources if "profile" in (v := s())), "paper")
        return *sources, InitSettingsSource(settings_cls, PROFILES.get(str(name), PAPER))

    @classmethod
    def load(cls, **values: Any) -> "Settings":
        """Return the settings of the environment, overridden by `values`.

        Raises:
            SettingsError: An unknown `PERSONA_*` name or an impossible value.
        """
        known = {f"PERSONA_{name.upper()}": _nests(it) for name, it in cls.model_fields.items()}
        for variable in os.environ:
            name, nested, _ = variable.upper().partition("__")
            if name.startswith("PERSONA_") and (name not in known or (nested and not known[name])):
                raise SettingsError(
                    f"unknown setting {variable}{nearest(variable.upper(), known)}: "
                    "see .env.example for all names"
                )
        try:
            return cls(**values)
        except UnreadableValue as error:
            _, field, *_ = str(error).split('"')
            raise SettingsError(
                f"setting PERSONA_{field.upper()}: lists and mappings are written as JSON"
            ) from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = "__".join(str(part) for part in first["loc"]).upper()
            if first["type"] == "extra_forbidden":
                *parents, name = (str(part) for part in first["loc"])
                right = nearest(name.upper(), _members(cls, parents))
                raise SettingsError(f"unknown setting PERSONA_{where}{right}") from None
            raise SettingsError(f"setting PERSONA_{where}: {first['msg']}") from None

    @property
    def training_runs(self) -> list[TrainingRun]:
        """Trainings: a size and a seed each."""
        return training_runs(self.training_sizes, self.training_seeds, self.training.hyper.seed)

    @property
    def survives_by_content(self) -> bool:
        """True if of two duplicates the lower id survives, whichever came first."""
        return self.survivor_priority == "content"

    def endpoint(self, role: str) -> ModelEndpoint:
        """Return the endpoint of a role; that of the writer for an optional role that is not set.

        Raises:
            SettingsError: `role` is none of `ROLES` and no baseline.
        """
        if (name := role.removeprefix(BASELINE_ROLE)) != role and name in self.baselines:
            return self.baselines[name]
        if role not in ROLES:
            raise SettingsError(f"unknown role {role!r}: there are {', '.join(ROLES)}")
        endpoint: ModelEndpoint | None = getattr(self, role)
        return self.writer if endpoint is None else endpoint

    def has_role(self, role: str) -> bool:
        """Return False for a role that is optional and not set."""
        return role.startswith(BASELINE_ROLE) or getattr(self, role) is not None

    @property
    def roles(self) -> list[str]:
        """All roles: `ROLES`, and one per baseline."""
        return [*ROLES, *(f"{BASELINE_ROLE}{name}" for name in self.baselines)]

    def task(self, name: str) -> Task:
        """Return the settings of a task; by default all personas, zero-shot."""
        return self.tasks.get(name, Task())

    def prompting_of(self, prompt: str) -> Prompting:
        """Return the prompting of a prompt; by default zero-shot, as in the paper."""
        given = self.tasks.get(prompt) or self.prompting.get(prompt) or Prompting()
        mode = given.shown_mode if isinstance(given, Task) else given.mode
        return Prompting(mode=mode, shots=given.shots, variables=given.variables)


def merged_task(layers: Iterable[Task]) -> Task:
    """Return the settings of a task from several layers; a later layer wins, member by member.

    Raises:
        ValidationError: Members of different layers contradict each other.

    Example:
        >>> of_file = Task(share=0.5, variables={"world": "harbour", "length": "short"})
        >>> merged = merged_task([of_file, Task(variables={"world": "jiudu"})])
        >>> merged.share, merged.variables
        (0.5, {'world': 'jiudu', 'length': 'short'})
        >>> merged_task([Task(judge=1.0), Task(judge=None)]).judge is None
        True
    """
    members: dict[str, Any] = {}
    for layer in layers:
        # A member that is set to null takes back what an earlier layer has set.
        own = {name: getattr(layer, name) for name in layer.model_fields_set}
        own["variables"] = {**members.get("variables", {}), **own.get("variables", {})}
        members |= own if own["variables"] else {k: v for k, v in own.items() if k != "variables"}
    return Task.model_validate(members)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `" (did you mean NAME?)"` with the most similar known name; "" if none is similar.

    Example:
        >>> nearest("math_problem", ["math_problems", "tools"])
        ' (did you mean math_problems?)'
    """
    close = get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _known_language(tag: str | None) -> str | None:
    if tag is not None and language_name(tag) is None:
        raise ValueError(f"{tag!r} is the tag of no known language: write a tag such as de or zh")
    return tag


def _members(model: type[BaseModel], path: Iterable[str]) -> list[str]:
    """Return the members below a path such as ("writer", "price"), as in environment variables."""
    for part in path:
        field = model.model_fields.get(part)
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        # A part that is no field is the key of a mapping, such as the name of a task.
        model = nested[0] if nested else model
    return [name.upper() for name in model.model_fields]


def _nests(field: FieldInfo) -> bool:
    """Return True if a setting has members of its own, such as `WRITER__MODEL`."""
    kinds = (field.annotation, *get_args(field.annotation))
    return get_origin(field.annotation) is dict or any(
        isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds
    )


def _parsed(value: Any) -> Any:
    if isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value)
    return value
