"""The map in a page: its picture, labels of clusters, and fields that magnify it when followed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from persona_assets.explore.filters import Box, Filters
from persona_assets.explore.hub import Hub
from persona_assets.explore.map_image import HEIGHT, WIDTH, ZOOM, Places

COLUMNS, ROWS = 10, 6
"""Number of fields of the map across and down."""

FIELD = WIDTH // COLUMNS, HEIGHT // ROWS
"""Size of a field."""

LABELS = 14
"""Number of clusters that have a label."""

_ROOM, _NARROW_ROOM = (170, 30), (330, 64)
"""Width and height of a label, and on a narrow screen."""


@dataclass(frozen=True)
class MapLabel:
    """Label of a cluster: words, place in the picture, link to its personas.

    A label that is `rare` has no room on a narrow screen.
    """

    text: str
    x: int
    y: int
    address: str
    is_rare: bool


@dataclass(frozen=True)
class MapLinks:
    """Map of a view.

    Attributes:
        picture: Address of the picture.
        box: Area.
        places: Number of places of the whole map.
        labels: Labels of clusters.
        fields: Left and top of each field, and the address of the view that it magnifies.
        closer: Address of the magnified middle.
        out: Address of a larger area; empty for the whole map.
        whole: Address of the whole map; empty if it is shown.
    """

    picture: str
    box: Box
    places: int
    labels: Sequence[MapLabel]
    fields: Sequence[tuple[int, int, str]]
    closer: str
    out: str
    whole: str


def link_map(hub: Hub, places: Places, filters: Filters, *, marks: bool) -> MapLinks | None:
    """Describe the map of a view; None for a hub without a place.

    Args:
        hub: Personas.
        places: Their places.
        filters: The view.
        marks: Mark the personas of the view.
    """
    box = filters.box or places.box
    if box is None:
        return None
    shown = filters if marks else Filters(box=filters.box)

    def magnified(across: float, down: float, factor: float = ZOOM) -> str:
        return filters.within(places.zoomed(box, across, down, factor)).address()

    fields = [
        (column * FIELD[0], row * FIELD[1], magnified((column + 0.5) / COLUMNS, (row + 0.5) / ROWS))
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]
    return MapLinks(
        picture=shown.on_page(1).address("/map.png"),
        box=box,
        places=places.count,
        labels=list(_labels(hub, filters, box)),
        fields=fields,
        closer=magnified(0.5, 0.5),
        out=magnified(0.5, 0.5, 1 / ZOOM) if filters.box else "",
        whole=filters.within(None).address() if filters.box else "",
    )


def _labels(hub: Hub, filters: Filters, box: Box) -> Iterator[MapLabel]:
    """Yield labels of the largest clusters of an area; of two that overlap, the larger's."""
    left, bottom, right, top = box
    width, height = _ROOM
    shown: list[tuple[float, float]] = []
    on_narrow: list[tuple[float, float]] = []
    for row in hub.clusters.sort("size", "cluster", descending=[True, False]).iter_rows(named=True):
        x = (row["x"] - left) / (right - left) * WIDTH
        y = (top - row["y"]) / (top - bottom) * HEIGHT
        is_inside = width / 2 < x < WIDTH - width / 2 and height / 2 < y < HEIGHT - height / 2
        if is_inside and _is_free((x, y), shown, _ROOM):
            shown.append((x, y))
            is_rare = not (_NARROW_ROOM[0] / 2 < x < WIDTH - _NARROW_ROOM[0] / 2) or not _is_free(
                (x, y), on_narrow, _NARROW_ROOM
            )
            on_narrow += [] if is_rare else [(x, y)]
            words = ", ".join(row["words"][:2]) or f"cluster {row['cluster']}"
            address = filters.toggled("cluster", str(row["cluster"])).address()
            yield MapLabel(words, round(x), round(y), address, is_rare)
        if len(shown) == LABELS:
            return


def _is_free(
    place: tuple[float, float], taken: Sequence[tuple[float, float]], room: tuple[int, int]
) -> bool:
    """Return True if a label at a place overlaps none of others."""
    return all(abs(place[0] - x) > room[0] or abs(place[1] - y) > room[1] for x, y in taken)
