"""Finding of a check: its subject, its gravity, and the remedy."""

from dataclasses import dataclass
from typing import Literal

Gravity = Literal["well", "note", "fault"]
"""A note needs nobody; a fault stops a run or makes it wrong."""


@dataclass(frozen=True)
class Finding:
    """Finding of a check.

    Attributes:
        subject: Part of the project or the machine, such as "disk".
        gravity: Gravity of the finding.
        sentence: State of the subject.
        remedy: Command or change that mends it; "" if it needs none.
    """

    subject: str
    gravity: Gravity
    sentence: str
    remedy: str = ""


def well(subject: str, sentence: str) -> Finding:
    """Return the finding of a subject without fault."""
    return Finding(subject, "well", sentence)


def note(subject: str, sentence: str, remedy: str = "") -> Finding:
    """Return a finding to know of."""
    return Finding(subject, "note", sentence, remedy)


def fault(subject: str, sentence: str, remedy: str = "") -> Finding:
    """Return a finding to mend."""
    return Finding(subject, "fault", sentence, remedy)
