"""Small prompts folder: the prompt named `one`, its demonstrations and a world."""

import json
from pathlib import Path

from persona_assets.settings import Prompting

GOOD = """---
description: What it is for.
output:
  answer: {type: string}
variables: {focus: ""}
---

# System

Answer briefly. {{ focus }}

# User

{{ persona }} {% include "worlds/port.md" %}
"""
SHOTS = [
    {"persona": f"Person {n}.", "answer": f"The {n}th answer, {'word ' * n}"} for n in range(6)
]
"""Demonstrations of the prompt."""


def write_folder(folder: Path) -> Path:
    """Write the files below `folder` and return the folder."""
    for part in ("tasks", "worlds", "demonstrations"):
        (folder / part).mkdir()
    (folder / "one.md").write_text(GOOD)
    (folder / "worlds" / "port.md").write_text("A port.")
    lines = "".join(json.dumps(shot) + "\n" for shot in SHOTS)
    (folder / "demonstrations" / "one.jsonl").write_text(lines)
    return folder


def few(shots: int, mode: str = "persona-few-shot", **variables: str) -> Prompting:
    """Return the settings of a mode with demonstrations."""
    return Prompting.model_validate({"mode": mode, "shots": shots, "variables": variables})
