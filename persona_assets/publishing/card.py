"""Card of a dataset: `README.md` as model hubs show it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from persona_assets.assets.math_solutions import PROBLEMS
from persona_assets.languages import UNKNOWN, base_language
from persona_assets.project import Project
from persona_assets.prompting.front_matter import HUB
from persona_assets.publishing.inert_text import inert_line
from persona_assets.publishing.licences import OTHER, DatasetLicence, read_licence
from persona_assets.publishing.provenance import Provenance
from persona_assets.publishing.rows import MATH_TRAIN, PublishedRows

MANIFEST = "MANIFEST.sha256"
"""Name of the list of files with their SHA-256."""

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Categories of sizes on model hubs, by their upper bound."""

HUB_LICENCES = frozenset(
    {
        *("mit", "apache-2.0", "odc-by", "bsd-2-clause", "bsd-3-clause", "unlicense", "odbl"),
        *("gfdl", "pddl", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
        *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    }
)
"""Licences that a model hub accepts as `license`; of others it wants the name beside `other`."""

MOST_REASONS = 12
"""Number of reasons, languages and licences that the card lists."""

Configs = Mapping[str, Mapping[str, Sequence[str]]]
"""Paths of the data files by config and split."""


@dataclass(frozen=True)
class CardFacts:
    """Facts of a card that are not in the rows.

    Attributes:
        licence: Licence of the dataset.
        provenance: Tables, models and prompts behind the rows.
        terms: Terms of each model, as the publisher states them.
        configs: Data files.
        sizes: Number of rows by config and split.
    """

    licence: DatasetLicence
    provenance: Provenance
    terms: Mapping[str, str]
    configs: Configs
    sizes: Mapping[tuple[str, str], int]


def render_card(project: Project, found: PublishedRows, facts: CardFacts) -> str:
    """Return the card of a publication in Markdown.

    Args:
        project: Prompts and settings.
        found: Published rows.
        facts: Licence, provenance, terms and files.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        # Markdown, whose marks the filters below disarm.
        autoescape=False,
    )
    environment.filters |= {
        "reasons": _reasons,
        "line": inert_line,
        "code": lambda text: f"`{inert_line(text)}`",
        "money": lambda usd: "unknown" if usd is None else f"{Decimal(usd):.4f}",
        "json": lambda value: f"`{json.dumps(value)}`",
        "truncated": lambda version: f"`{version[:12]}`",
        "fenced": _fenced,
        "versions": lambda versions: ", ".join(
            f"{inert_line(name)} `{version[:12]}`" for name, version in versions.items()
        ),
    }
    languages, licences = Counter[str](), Counter[str]()
    for language, count in found.count("language").items():
        languages[language or UNKNOWN] += count
    for text, count in found.count("licence").items():
        licences[read_licence(text).name] += count
    return environment.get_template("card.md.jinja").render(
        front_matter=_front_matter(found, facts, languages),
        title=_title(found.name),
        description=_description(project, found.name),
        counts=[
            (config, split, facts.sizes[config, split])
            for config, splits in facts.configs.items()
            for split in splits
        ],
        without_messages=found.without_messages,
        has_messages="messages" in facts.configs,
        conversation=_conversation(project, found.name),
        provenance=facts.provenance,
        terms=facts.terms,
        thresholds=_thresholds(project, found.name),
        contamination=_contamination(project, found),
        languages=dict(languages.most_common()),
        licence=facts.licence,
        licences=licences.most_common(MOST_REASONS),
        other_licences=[count for _, count in licences.most_common()[MOST_REASONS:]],
        manifest=MANIFEST,
    )


def _front_matter(found: PublishedRows, facts: CardFacts, languages: Iterable[str]) -> str:
    total = sum(map(len, found.rows.values()))
    known = sorted({base_language(tag) for tag in languages} - {UNKNOWN})
    name = facts.licence.name
    licence = (
        {"license": name}
        if name in HUB_LICENCES
        else {"license": OTHER, "license_name": "see-card" if name == OTHER else name}
    )
    head: dict[str, Any] = {
        **licence,
        "language": known or [UNKNOWN],
        "pretty_name": _title(found.name),
        "size_categories": [next((name for most, name in SIZES if total < most), "n>1M")],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "persona", "persona-hub"],
        "configs": [
            {
                "config_name": config,
                **({"default": True} if place == 0 else {}),
                "data_files": [
                    {"split": split, "path": list(paths)} for split, paths in splits.items()
                ],
            }
            for place, (config, splits) in enumerate(facts.configs.items())
        ],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n"


def _title(name: str) -> str:
    return name.replace("_", " ").replace("@", ", ").capitalize()


def _description(project: Project, name: str) -> str:
    if name == HUB:
        return "Personas inferred from texts and from each other, without near-duplicates."
    if name == MATH_TRAIN:
        return "Math problems with solutions to train on, and held-out problems to test with."
    return str(project.prompts.tasks[name].head.description)


def _conversation(project: Project, name: str) -> str:
    if name in (HUB, MATH_TRAIN) or project.prompts.tasks[name].head.turns:
        return ""
    return "the request in the prompt's zero-shot form, and the answer"


def _thresholds(project: Project, name: str) -> list[tuple[str, str]]:
    settings = project.settings
    found = [
        ("duplicate personas by words", f"Jaccard from {float(settings.lexical_threshold):g}"),
        ("duplicate personas by meaning", f"cosine above {settings.semantic_threshold:g}"),
    ]
    if name == HUB:
        return found
    task = settings.task(PROBLEMS if name == MATH_TRAIN else name)
    return [
        *found,
        ("duplicate samples by words", f"Jaccard from {float(task.unique_threshold):g}"),
        *(
            [("duplicate samples by meaning", f"cosine above {task.unique_cosine:g}")]
            if task.unique_cosine is not None
            else []
        ),
        ("judged", "none" if not task.judge else f"{100 * task.judge:g} % of the samples"),
        ("personal data", settings.personal_data),
    ]


def _contamination(project: Project, found: PublishedRows) -> str:
    if found.name != MATH_TRAIN:
        return "These rows were not compared with any benchmark."
    names = ", ".join(sorted(set(project.forbidden_problems()["benchmark"])))
    benchmarks = (
        f"No problem contains a problem of {inert_line(names)} by the words of the table "
        "math_train, whose drops above name each benchmark"
        if names
        else "These rows were not compared with any benchmark"
    )
    return f"{benchmarks}; no problem of the split train contains one of the split test."


def _reasons(counts: Mapping[str, int]) -> str:
    """Return counts in a line, reasons without their details."""
    short = Counter[str]()
    for reason, count in counts.items():
        short[inert_line(re.split(r": |\s\d", reason)[0])] += count
    shown = [f"{name} {count:,}" for name, count in short.most_common(MOST_REASONS)]
    more = len(short) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more > 0 else [])]) or "none"


def _fenced(text: str) -> str:
    """Return a text as a block of code, with a fence that the text does not close."""
    runs = [len(run) for run in re.findall(r"`{3,}", text)]
    fence = "`" * max([3, *(length + 1 for length in runs)])
    return f"{fence}text\n{text.strip()}\n{fence}"
