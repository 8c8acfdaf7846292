"""The command `doctor`: findings on a project and the machine, each with its remedy."""

import argparse
from collections import Counter
from pathlib import Path

from persona_assets.diagnosis.doctor import examine
from persona_assets.number_format import plural
from persona_assets.plots.pictures import clean_label
from persona_assets.settings import Settings
from persona_assets.terminal.figures import OUT

_MARKS = {"well": "ok   ", "note": "note ", "fault": "FAULT"}
_MOST = 2000


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of a parser."""
    parser = commands.add_parser(
        "doctor", help="check settings, endpoints, disk, locks, tables and instance, free of charge"
    )
    parser.set_defaults(command=_doctor)


def _doctor(_: argparse.Namespace) -> int:
    counts = Counter[str]()
    for finding in examine(Settings.load, Path.cwd()):
        counts[finding.gravity] += 1
        # Endpoints and file names have a word in it.
        sentence = clean_label(f"{finding.subject}: {finding.sentence}", _MOST)
        OUT.print(f"{_MARKS[finding.gravity]}  {sentence}", markup=False, soft_wrap=True)
        if finding.remedy:
            OUT.print(f"         -> {finding.remedy}", markup=False, soft_wrap=True)
    notes = plural(counts["note"], "note")
    OUT.print(f"{plural(counts['fault'], 'fault')}, {notes}", markup=False)
    return 1 if counts["fault"] else 0
