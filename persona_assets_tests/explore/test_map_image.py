"""The picture has a pixel for each place, keeps its proportions, and magnifies around a point."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from persona_assets.explore.filters import Filters
from persona_assets.explore.map_image import HEIGHT, WIDTH, Places

PLACES = Places(np.array([[0, 0], [10, 2], [np.nan, np.nan], [5, -3]], np.float32))


def opaque(png: bytes) -> np.ndarray:
    """Return columns and rows of the pixels that are seen."""
    seen: np.ndarray = np.argwhere(np.asarray(Image.open(BytesIO(png)).convert("RGBA"))[:, :, 3])
    return seen[:, ::-1]


def test_every_place_is_seen_on_the_whole_map() -> None:
    box = PLACES.box
    assert box is not None
    left, bottom, right, top = box
    assert (right - left) / (top - bottom) == pytest.approx(WIDTH / HEIGHT)
    pixels = opaque(PLACES.draw(box, None))
    for x, y in ((0, 0), (10, 2), (5, -3)):
        wanted = (x - left) / (right - left) * WIDTH, (top - y) / (top - bottom) * HEIGHT
        assert np.abs(pixels - wanted).max(axis=1).min() <= 8
    assert PLACES.count == 3


def test_marked_places_have_another_colour() -> None:
    assert PLACES.box is not None
    marked = PLACES.draw(PLACES.box, np.array([True, False, True, False]))
    colours = np.asarray(Image.open(BytesIO(marked)).convert("RGBA")).reshape(-1, 4)
    assert len(np.unique(colours[colours[:, 3] > 0][:, :3], axis=0)) == 2


def test_area_is_magnified_around_a_point_and_back_to_the_whole_map() -> None:
    assert PLACES.box is not None
    near = PLACES.zoomed(PLACES.box, 0.25, 0.75)
    assert near is not None
    assert near[2] - near[0] == pytest.approx((PLACES.box[2] - PLACES.box[0]) / 3)
    assert PLACES.zoomed(near, 0.5, 0.5, 1 / 3) is None
    fitted = PLACES.fitted((0, 0, 1, 10))
    assert fitted[0] < 0 < 1 < fitted[2]
    assert (fitted[3] - fitted[1]) == pytest.approx(10)


@pytest.mark.parametrize("places", [np.empty((0, 2)), np.array([[np.nan, np.nan]])])
def test_map_without_places_has_no_area(places: np.ndarray) -> None:
    assert Places(places.astype(np.float32)).box is None


def test_map_of_a_single_place_is_drawn() -> None:
    single = Places(np.array([[3, 4]], np.float32))
    assert single.box is not None
    assert len(opaque(single.draw(single.box, None)))


@pytest.mark.parametrize(("least", "most"), [(5, 5 + 1e-15), (-1e308, 1e308), (1e300, 2e300)])
def test_any_area_of_an_address_is_drawn_and_magnified(least: float, most: float) -> None:
    box = PLACES.fitted((least, least, most, most))
    assert PLACES.draw(box, None).startswith(b"\x89PNG")
    for _ in range(20):
        box = PLACES.fitted(PLACES.zoomed(box, 0.4, 0.6) or box)
        address = Filters(box=box).address()
        assert Filters.parse(address.partition("?")[2]).box == pytest.approx(box)
