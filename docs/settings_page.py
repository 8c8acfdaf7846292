"""Print the page `settings.md` from the settings model.

python docs/settings_page.py > docs/settings.md
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from persona_assets import Price
from persona_assets.profiles import PROFILES
from persona_assets.settings import (
    ROLES,
    EvaluationEndpoint,
    ModelEndpoint,
    Prompting,
    Settings,
    Task,
    Training,
)
from persona_assets.training.job import Hyperparameters

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Project": (
        "profile",
        "data_dir",
        "corpus",
        "prompts",
        "benchmark",
        "benchmarks",
        "decontaminate",
        "decontaminate_cosine",
        "decontaminate_judge_from",
        "model_dir",
    ),
    "Corpus": ("corpus_fields", "texts_per_shard", "text_chars"),
    "Ready personas": ("ready_personas", "ready_fields", "ready_per_shard"),
    "Personas": (
        "perspectives",
        "perspectives_per_text",
        "language",
        "relations_per_persona",
        "personas_per_hop",
        "hub_size",
        "least_novelty",
    ),
    "Near-duplicates": (
        "lexical_method",
        "lexical_threshold",
        "semantic_threshold",
        "survivor_priority",
        "dedup_engine",
        "dedup_threads",
        "spark_master",
        "embedding_dimensions",
        "embedding_precision",
        "embedding_bytes",
    ),
    "Money and quality": (
        "run_budget",
        "backfill_budget",
        "unasked_budget",
        "ledger_url",
        "dagster_postgres_url",
        "max_quarantine_share",
        "max_rejected_share",
    ),
    "People": ("personal_data", "protected_names"),
    "Math": (
        "solutions_per_problem",
        "sandbox",
        "held_out_share",
        "equality",
        "judged_answers",
        "training_sizes",
        "training_seeds",
        "train_without_personas",
        "benchmark_limit",
        "benchmark_draw",
        "evaluation_samples",
        "baselines",
    ),
    "Diversity": (
        "pair_similarities",
        "pair_tolerance",
        "pairs_per_bucket",
        "pair_writer_similarity",
        "control_problems",
    ),
    "Roles": (
        "writer",
        "solver",
        "second_solver",
        "judge",
        "evaluation",
        "embedder",
        "pair_writer",
    ),
    "Prompts and tasks": ("prompting", "tasks"),
    "Fine-tuning": ("training",),
}
"""Settings by section of the page; every setting is in exactly one section."""

LONGEST = 60
"""Maximum number of characters of a default that the page shows."""

_HEAD = """\
<!-- Generated: python docs/settings_page.py > docs/settings.md -->

# Settings

Every setting is an environment variable. The commands and Dagster also read `.env` in the current
directory. The environment wins over `.env`, and `.env` wins over the profile that `PERSONA_PROFILE`
names. An unknown setting, member, task, prompt or variable is an error. Lists and mappings are
written as JSON, `null` is written as `null`, and two underscores lead to a member:
`PERSONA_WRITER__MODEL=gpt-6.1-sol`. Relative paths are relative to the current directory. API keys
are no settings: a role's `API_KEY_ENV` names the variable that holds the key.

A default without a label is that of the profile `paper`, and of every profile that is not named
beside it.
"""

_PARTS: Mapping[str, tuple[str, tuple[tuple[str, type[BaseModel]], ...]]] = {
    "Roles": (
        "A role is a model and the endpoint that serves it. Each role has the same members; "
        "`WRITER` stands for any of them. The defaults of a role are its model's name; "
        "`persona_assets/profiles.py` holds its other members in each profile. `EVALUATION` has "
        "further ones, and its model is the begin of a "
        "[served name](operating.md#servers-of-fine-tuned-models).",
        (
            ("PERSONA_WRITER__", ModelEndpoint),
            ("PERSONA_WRITER__PRICE__", Price),
            ("PERSONA_EVALUATION__", EvaluationEndpoint),
        ),
    ),
    "Prompts and tasks": (
        "`NAME` is the name of a file in `prompts/` or `prompts/tasks/`, in its own case: "
        "`PERSONA_TASKS__math_problems__SHARE=0.1`.",
        (("PERSONA_PROMPTING__NAME__", Prompting), ("PERSONA_TASKS__NAME__", Task)),
    ),
    "Fine-tuning": (
        "The paper names the base model and no hyper-parameter: the defaults are ours.",
        (("PERSONA_TRAINING__", Training), ("PERSONA_TRAINING__HYPER__", Hyperparameters)),
    ),
}


def settings_page() -> str:
    """Return the page as Markdown."""
    schema = Settings.model_json_schema()
    blocks = [_HEAD]
    for title, names in SECTIONS.items():
        blocks.append(f"## {title}\n")
        if title in _PARTS:
            blocks.append(f"{_PARTS[title][0]}\n")
        blocks.append(_table("PERSONA_", names, schema, schema, {n: _defaults(n) for n in names}))
        for prefix, model in _PARTS.get(title, ("", ()))[1]:
            blocks.append(_member_table(prefix, model, schema))
    return "\n".join(blocks)


def _member_table(prefix: str, model: type[BaseModel], root: Mapping[str, Any]) -> str:
    """Return the table of a model's members, without those of an endpoint of any role."""
    of_any = ModelEndpoint.model_fields if issubclass(model, EvaluationEndpoint) else ()
    defaults = {
        name: "required"
        if field.is_required()
        else _shown(field.get_default(call_default_factory=True))
        for name, field in model.model_fields.items()
        if name not in of_any
    }
    return _table(prefix, defaults, model.model_json_schema(), root, defaults)


def _table(
    prefix: str,
    names: Iterable[str],
    schema: Mapping[str, Any],
    root: Mapping[str, Any],
    defaults: Mapping[str, str],
) -> str:
    lines = ["| Variable | Values | Default | Meaning |", "|---|---|---|---|"]
    for name in names:
        field = schema["properties"][name]
        meaning = " ".join(field["description"].split())
        cells = (f"`{prefix}{name.upper()}`", _values(field, root), defaults[name], meaning)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _defaults(name: str) -> str:
    """Return the default of `paper`, and those of the other profiles where they differ."""
    paper, *others = ((label, _default(name, profile)) for label, profile in PROFILES.items())
    differing = [f"`{label}`: {default}" for label, default in others if default != paper[1]]
    return "; ".join([paper[1], *differing])


def _default(name: str, profile: Mapping[str, Any]) -> str:
    if name in ROLES and name in profile:
        return f"`{profile[name]['model']}`"
    if name in profile:
        return _shown(profile[name])
    return _shown(Settings.model_fields[name].get_default(call_default_factory=True))


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    written = value if isinstance(value, str) else json.dumps(value, default=str).strip('"')
    return f"`{written}`" if len(written) <= LONGEST else "see `persona_assets/profiles.py`"


def _values(field: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """Return the values that a field of a JSON schema admits, in words."""
    return " or ".join(dict.fromkeys(_kinds(field, root)))


def _kinds(field: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[str]:
    if "anyOf" in field:
        bounds = {name: field[name] for name in ("gt", "le") if name in field}
        options = [option | bounds for option in field["anyOf"]]
        numeric = any(option.get("type") == "number" for option in options)
        for option in options:
            # A decimal may also be written as text: a detail of JSON.
            if not (numeric and option.get("type") == "string" and "format" not in option):
                yield from _kinds(option, root)
    elif "$ref" in field:
        yield "members below"
    elif "enum" in field:
        yield " or ".join(f"`{value}`" for value in field["enum"])
    elif "const" in field:
        yield f"`{field['const']}`"
    elif field.get("type") == "null":
        yield "`null`"
    elif field.get("type") == "array":
        yield f"list of {_values(field['items'], root)}"
    elif field.get("type") == "object":
        yield "mapping"
    else:
        kind = field.get("format", field.get("type", "text"))
        names = {"string": "text", "number": "number", "boolean": "`true` or `false`"}
        yield names.get(kind, kind) + _bounds(field)


def _bounds(field: Mapping[str, Any]) -> str:
    signs = {
        "gt": ">",
        "exclusiveMinimum": ">",
        "minimum": "≥",
        "le": "≤",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    bounds = [f"{sign} {field[name]:g}" for name, sign in signs.items() if name in field]
    return f" {', '.join(bounds)}" if bounds else ""


if __name__ == "__main__":
    print(settings_page(), end="")
