"""Every knob a user turns.

Values come, first wins, from `PERSONA_*` environment variables (the commands and Dagster first load
`.env` into the environment), and from the profile that `PERSONA_PROFILE` names (`paper` unless set;
see profiles.py). Nested values use two underscores: `PERSONA_WRITER__MODEL=gpt-4o`.
"""

import json
import os
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
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
from persona_assets.profiles import PAPER, PROFILES
from persona_assets.training.job import Hyperparameters

Mode = Literal["zero-shot", "few-shot", "persona-few-shot"]
Precision = Literal["fp32", "int8"]
ROLES = ("writer", "solver", "second_solver", "judge", "evaluation", "embedder")


class SettingsError(ValueError):
    """A setting is unknown or has a value it cannot have; the message says which and what to do."""


class ModelEndpoint(Endpoint):
    """A role's model: an OpenAI-compatible endpoint, or, if `embedded`, a model on this machine."""

    embedded: bool = False

    @field_validator("sampling")
    @classmethod
    def _numbers(cls, sampling: dict[str, Any]) -> dict[str, Any]:
        # An environment variable such as PERSONA_WRITER__SAMPLING__TEMPERATURE is text.
        return {name: _parsed(value) for name, value in sampling.items()}


class Prompting(BaseModel):
    """How one prompt is put to the model (section 3): its mode and its number of demonstrations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode = "zero-shot"
    shots: int = Field(default=0, ge=0)
    variables: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shots_fit_the_mode(self) -> "Prompting":
        if (self.mode == "zero-shot") != (self.shots == 0):
            raise ValueError(f"mode {self.mode} does not go with shots={self.shots}")
        return self


class Task(Prompting):
    """How one dataset is drawn from the hub: prompting, share of personas, samples per persona."""

    share: float = Field(default=1.0, ge=0, le=1)
    per_shard: int | None = Field(default=None, ge=0)
    per_persona: int = Field(default=1, ge=1)


class Training(BaseModel):
    """Fine-tuning (section 4.1.2)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_model: str
    hyper: Hyperparameters


class Settings(BaseSettings):
    """The project's settings. `Settings.load()` reports a mistake as one `SettingsError`."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="PERSONA_",
        env_nested_delimiter="__",
        env_parse_none_str="null",
        extra="forbid",
        frozen=True,
    )

    profile: Literal["paper", "demo"] = "paper"

    data_dir: Path
    corpus: Path = Path("data/corpus")
    prompts: Path = Path("prompts")
    benchmark: Path = Path("data/benchmarks/sample.jsonl")
    model_dir: Path = Path("~/.cache/persona_assets/models")

    corpus_fields: dict[str, str] = Field(default_factory=dict)
    texts_per_shard: int | None = Field(ge=1)
    text_chars: int = Field(ge=100)

    perspectives: tuple[str, ...] = Field(min_length=1)
    perspectives_per_text: int = Field(ge=1)
    relations_per_persona: int = Field(ge=1)
    personas_per_hop: int | None = Field(ge=0)

    lexical_method: Literal["auto", "exact", "minhash"]
    # By way of text: Fraction(0.9) is not nine tenths.
    lexical_threshold: Annotated[Fraction, BeforeValidator(str), Field(gt=0, le=1)]
    semantic_threshold: float = Field(gt=0, le=1)
    survivor_priority: Literal["arrival", "content"] = "arrival"
    dedup_engine: Literal["local", "spark"] = "local"
    dedup_threads: int | None = Field(default=None, ge=1)
    spark_master: str = "local[*]"
    embedder: ModelEndpoint
    embedding_dimensions: int | None = Field(ge=1)
    embedding_precision: Precision = "fp32"

    writer: ModelEndpoint
    solver: ModelEndpoint
    second_solver: ModelEndpoint
    judge: ModelEndpoint
    evaluation: ModelEndpoint
    max_quarantine_share: float = Field(ge=0, le=1)

    run_budget: Decimal | None = Field(default=None, gt=0)
    backfill_budget: Decimal | None = Field(default=None, gt=0)
    ledger_url: str | None = Field(default=None, repr=False)

    prompting: dict[str, Prompting] = Field(default_factory=dict)
    tasks: dict[str, Task] = Field(default_factory=dict)

    held_out_share: float = Field(ge=0, le=1)
    equality: Literal["judge", "math_verify"]
    training_sizes: tuple[PositiveInt, ...]
    training: Training
    benchmark_limit: int | None = Field(ge=1)

    pair_similarities: tuple[float, ...]
    pair_tolerance: float = Field(gt=0)
    pairs_per_bucket: int = Field(ge=1)

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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Adds the profile as the source of lowest precedence."""
        sources = (init_settings, env_settings)
        name = next((v["profile"] for s in sources if "profile" in (v := s())), "paper")
        return *sources, InitSettingsSource(settings_cls, PROFILES.get(str(name), PAPER))

    @classmethod
    def load(cls, **values: Any) -> "Settings":
        """Settings from the environment; `values` win over it.

        Raises SettingsError for an unknown `PERSONA_*` name or an impossible value.
        """
        known = {f"PERSONA_{name.upper()}": _nests(it) for name, it in cls.model_fields.items()}
        for variable in os.environ:
            name, nested, _ = variable.upper().partition("__")
            if name.startswith("PERSONA_") and (name not in known or (nested and not known[name])):
                raise SettingsError(
                    f"unknown setting {variable}: see .env.example for the names there are"
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
            raise SettingsError(f"setting PERSONA_{where}: {first['msg']}") from None

    def endpoint(self, role: str) -> ModelEndpoint:
        """The endpoint of a role."""
        if role not in ROLES:
            raise SettingsError(f"unknown role {role!r}: there are {', '.join(ROLES)}")
        endpoint: ModelEndpoint = getattr(self, role)
        return endpoint

    def task(self, name: str) -> Task:
        """A task's settings; all personas, zero-shot, unless set otherwise."""
        return self.tasks.get(name, Task())

    def prompting_of(self, prompt: str) -> Prompting:
        """Mode and shots of a prompt; zero-shot, as in the paper, unless set otherwise."""
        given = self.tasks.get(prompt) or self.prompting.get(prompt) or Prompting()
        return Prompting(mode=given.mode, shots=given.shots, variables=given.variables)


def _nests(field: FieldInfo) -> bool:
    """Whether a setting has members of its own, which `__` leads to."""
    kind = field.annotation
    return get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel))


def _parsed(value: Any) -> Any:
    if isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value)
    return value
