"""Values of a facet in a view: label, number of rows, link that chooses or gives up the value."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persona_assets.explore.filters import Filters
from persona_assets.explore.hub import Hub
from persona_assets.languages import language_name

SHOWN, BEHIND = 7, 100
"""Numbers of values of a facet that are shown at once, and on demand."""

NONE = "(none)"
"""Label of a missing value."""


@dataclass(frozen=True)
class FacetValue:
    """Value of a facet in a view.

    Attributes:
        label: Label.
        count: Number of rows.
        share: Percent of the rows of the most frequent value.
        address: View with the value chosen, or given up.
        is_chosen: True if the view has the value as a filter.
    """

    label: str
    count: int
    share: float
    address: str
    is_chosen: bool


@dataclass(frozen=True)
class FacetList:
    """Values of a facet: shown at once, shown on demand, and the number of all others."""

    name: str
    title: str
    shown: Sequence[FacetValue]
    behind: Sequence[FacetValue]
    others: int


def list_values(hub: Hub, name: str, title: str, filters: Filters, counts: np.ndarray) -> FacetList:
    """List the values of a facet that have rows, the most frequent first; hops by number.

    Args:
        hub: Personas.
        name: Facet.
        title: Its title.
        filters: The view.
        counts: Number of rows by value.
    """
    values = hub.facets[name].values
    chosen = filters.values.get(name, ())
    codes = np.flatnonzero(counts)
    order = codes if name == "hop" else codes[np.argsort(-counts[codes], kind="stable")]
    found = {values[code]: int(counts[code]) for code in order[: SHOWN + BEHIND].tolist()}
    # A chosen value stays in sight, so that it can be given up, with or without rows.
    first = {value: found.get(value, 0) for value in chosen}
    names = list(found) if name == "hop" else [*first, *(it for it in found if it not in first)]
    listed = [(value, found.get(value, 0)) for value in dict.fromkeys([*names, *first])]
    most = max(1, int(counts.max(initial=1)))

    def described(pairs: Sequence[tuple[str, int]]) -> list[FacetValue]:
        return [
            FacetValue(
                label_of(hub, name, value),
                count,
                round(100 * count / most, 1),
                filters.toggled(name, value).address(),
                value in chosen,
            )
            for value, count in pairs
        ]

    room = max(SHOWN, len(first))
    return FacetList(
        name,
        title,
        described(listed[:room]),
        described(listed[room:]),
        max(0, len(codes) - SHOWN - BEHIND),
    )


def label_of(hub: Hub, facet: str, value: str) -> str:
    """Return the label of a value for people."""
    if not value:
        return NONE
    if facet == "language":
        return language_name(value) or value
    if facet == "cluster":
        return hub.cluster_labels.get(value, value)
    return value
