"""A persona in a page: text and facets, the personas nearest to it, and those it stands for."""

from dataclasses import dataclass

import numpy as np

from persona_assets.explore.facet_list import label_of
from persona_assets.explore.hub import FACETS, Hub

NEIGHBOURS, DUPLICATES = 12, 50
"""Numbers of nearest personas and of duplicates that are shown."""


@dataclass(frozen=True)
class PersonaView:
    """Persona in a list or at the head of its page.

    Attributes:
        row_id: Its id.
        text: Its text.
        facets: Its value of each facet.
        labels: The same for people.
    """

    row_id: str
    text: str
    facets: dict[str, str]
    labels: dict[str, str]


@dataclass(frozen=True)
class SimilarPersona:
    """Persona beside another: the similarity of both, and what is similar."""

    persona: PersonaView
    similarity: float
    stage: str


def describe(hub: Hub, row: int) -> PersonaView:
    """Describe the persona of a row."""
    facets = {name: hub.value(name, row) for name in FACETS}
    labels = {name: label_of(hub, name, value) for name, value in facets.items()}
    return PersonaView(hub.ids[row], hub.texts[row], facets, labels)


def nearest(hub: Hub, row: int) -> list[SimilarPersona]:
    """Return the personas nearest to another by meaning; none for one without a vector."""
    vector = hub.meaning.vector(row)
    if vector is None:
        return []
    rows, cosines = hub.meaning.nearest(vector, NEIGHBOURS + 1)
    found = zip(rows.tolist(), cosines.tolist(), strict=True)
    others = [(other, cosine) for other, cosine in found if other != row]
    return [
        SimilarPersona(describe(hub, other), cosine, "cosine")
        for other, cosine in others[:NEIGHBOURS]
    ]


def duplicates_of(hub: Hub, row: int) -> tuple[list[SimilarPersona], int]:
    """Return the duplicates that a persona stands for, the most similar first, and their number."""
    known = hub.duplicates
    places = np.flatnonzero(known.survivors == row).tolist()
    shown = [
        SimilarPersona(
            describe(hub, int(known.rows[place])),
            float(known.similarity[place]),
            known.stages[place],
        )
        for place in places[:DUPLICATES]
    ]
    return shown, len(places)
