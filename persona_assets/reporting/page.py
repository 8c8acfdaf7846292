"""The page: all sections as one HTML file of a bounded size."""

import os
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from persona_assets.project import Project
from persona_assets.reporting.blocks import MOST_ROWS, Drawing, Section
from persona_assets.reporting.condition import condition_section
from persona_assets.reporting.counts import glance_section, hops_section, steps_section
from persona_assets.reporting.experiments import (
    control_section,
    diversity_section,
    map_section,
    scaling_section,
    training_section,
)
from persona_assets.reporting.facts import Facts, collect_facts
from persona_assets.reporting.samples import SAMPLES
from persona_assets.reporting.spending import cost_section, models_section
from persona_assets.reporting.tasks import tasks_section

MOST_BYTES = 2_000_000
"""Largest size of the file."""

SMALL_FIRST = (
    "loss",
    "measures of the arms",
    "growth of near-duplicates",
    "hops",
    "map",
    "figure 10",
    "figure 9",
)
"""Pictures in the order in which their small form takes their place in a file that is too large."""

FEWER_ROWS = 20
"""Number of rows of a table in a file that is too large with small pictures and no samples."""

GENERATOR = "persona_assets report"
"""Mark by which a report is recognized."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")


class ReportError(ValueError):
    """The report cannot be written; the message says what to do."""


@dataclass(frozen=True)
class Limits:
    """Limits of a page.

    Attributes:
        small: Names of the pictures in their small form.
        samples: Number of samples of a task.
        rows: Number of rows of a table.
    """

    small: tuple[str, ...] = ()
    samples: int = SAMPLES
    rows: int = MOST_ROWS

    def describe(self) -> str:
        """Return what the page lacks for its size; empty for a whole page.

        Example:
            >>> Limits(("loss", "map"), samples=1).describe()
            'To stay below 2 MB: small pictures (loss, map); 1 of 3 samples of a task.'
        """
        parts = [
            *([f"small pictures ({', '.join(self.small)})"] if self.small else []),
            *([f"{self.samples} of {SAMPLES} samples of a task"] if self.samples < SAMPLES else []),
            *([f"{self.rows} rows of a table"] if self.rows < MOST_ROWS else []),
        ]
        return f"To stay below {MOST_BYTES // 1_000_000} MB: {'; '.join(parts)}." if parts else ""


def write_report(project: Project, path: Path) -> int:
    """Write the report on a project; a reader never sees a partial file.

    Args:
        project: The project.
        path: File to write; an earlier report there is replaced.

    Returns:
        Size of the file in bytes.

    Raises:
        CatalogError: The catalog cannot be read.
        ReportError: The path holds another file, or the report stays too large.
    """
    if path.exists() and not _is_report(path):
        raise ReportError(f"{path} is no earlier report: name a new file with --to")
    content = render_report(collect_facts(project), datetime.now(UTC)).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    return len(content)


def render_report(facts: Facts, time: datetime) -> str:
    """Return the page on a project.

    Args:
        facts: Facts of the project.
        time: Time of the report.

    Raises:
        ReportError: The page is too large in its smallest form.
    """
    name = facts.project.settings.data_dir.resolve().name
    return render_page(report_sections(facts), name, time)


def report_sections(facts: Facts) -> list[Section]:
    """Write all sections in the order of the page."""
    return [
        glance_section(facts),
        condition_section(facts.condition),
        models_section(facts),
        steps_section(facts),
        hops_section(facts),
        cost_section(facts),
        map_section(facts),
        tasks_section(facts),
        scaling_section(facts),
        training_section(facts),
        diversity_section(facts),
        control_section(facts),
    ]


def render_page(
    sections: Sequence[Section], name: str, time: datetime, most_bytes: int = MOST_BYTES
) -> str:
    """Return a page of sections, with less in it until it is small enough.

    Args:
        sections: Sections of the page.
        name: Name of the project.
        time: Time of the report.
        most_bytes: Largest size of the page.

    Raises:
        ReportError: The page is too large in its smallest form.
    """
    template = html_environment(Path(__file__).parent).get_template("page.html.jinja")
    page = ""
    for limits in _limits(_drawings(sections)):
        page = template.render(
            sections=sections,
            limits=limits,
            project=name,
            time=time,
            version=version("persona_assets"),
            generator=GENERATOR,
        )
        if len(page.encode()) <= most_bytes:
            return page
    raise ReportError(
        f"the report takes {len(page.encode()):,} bytes in its smallest form and may take "
        f"{most_bytes:,}: report on a project of fewer tasks"
    )


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(2_000)


def _limits(drawn: Iterable[str]) -> Iterator[Limits]:
    """Yield limits from a whole page to the smallest one."""
    names = set(drawn)
    order = [name for name in SMALL_FIRST if name in names]
    for count in range(len(order) + 1):
        yield Limits(tuple(order[:count]))
    for samples in range(SAMPLES - 1, -1, -1):
        yield Limits(tuple(order), samples)
    yield Limits(tuple(order), 0, FEWER_ROWS)


def _drawings(sections: Iterable[Section]) -> Iterator[str]:
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Drawing):
                yield block.name


def html_environment(folder: Path) -> Environment:
    """Return the templates of a folder, which escape all that is written into them."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda svg: b64encode(svg.encode()).decode()
    return environment


def _printable(value: Any) -> Any:
    """Replace the control characters of a text, which HTML forbids."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _CONTROL.sub("�", value)
    return value
