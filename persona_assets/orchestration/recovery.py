"""Sections of dagster.yaml that retry the runs a crash took, for projects that lack them."""

import os
from pathlib import Path

import yaml

from persona_assets.scaffold.shipped_files import shipped_file

SECTIONS = ("run_launcher", "run_retries")
"""Sections that notice a dead process, and run its run again."""


def add_recovery(configuration: Path) -> list[str]:
    """Add the shipped sections to a configuration that has none of their names.

    A section of the user's own stays as it is: `run_retries: {enabled: false}` is a choice.

    Returns:
        Names of the added sections.
    """
    text = configuration.read_text("utf-8")
    present = yaml.safe_load(text) or {}
    added = {name: block for name, block in _shipped().items() if name not in present}
    if added:
        whole = "\n\n".join([text.rstrip("\n"), *added.values()]) + "\n"
        # Another command may read it now.
        written = configuration.with_suffix(f".{os.getpid()}")
        written.write_text(whole, "utf-8")
        written.replace(configuration)
    return list(added)


def _shipped() -> dict[str, str]:
    """Return the text of each section, with its comment: blank lines separate sections."""
    blocks = shipped_file("data/dagster.yaml").read_text("utf-8").strip().split("\n\n")
    by_name = {name: block for block in blocks for name in yaml.safe_load(block) or ()}
    return {name: by_name[name] for name in SECTIONS}
