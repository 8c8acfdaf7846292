"""The map as a picture: the density of all places, and the marked places above it."""

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from math import isqrt

import numpy as np
from PIL import Image

from persona_assets.explore.filters import Box

WIDTH, HEIGHT = 960, 576
"""Size of the picture in pixels."""

CELLS = (1, 2, 3, 4, 6, 8)
"""Widths of a cell in pixels; all divide the size of the picture."""

ZOOM = 3.0
"""Factor by which a step magnifies."""

LEAST = 1e-4
"""Width of the smallest area, as a share of the map's: places have the precision of float32."""

_SHADES = 127
_ALL, _MARKED = (58, 123, 213), (217, 95, 14)


@dataclass(frozen=True)
class Places:
    """Places of personas on the map.

    Attributes:
        xy: Places, shape (personas, 2); NaN for no place.
    """

    xy: np.ndarray

    @cached_property
    def box(self) -> Box | None:
        """The whole map with a margin, in the proportions of the picture; None without places."""
        x, y = self._placed.T
        if not len(x):
            return None
        middle_x, middle_y = float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2
        width = max(float(np.ptp(x)), float(np.ptp(y)) * WIDTH / HEIGHT, 1e-3) * 1.06
        return _box(middle_x, middle_y, width)

    @property
    def count(self) -> int:
        """Number of places."""
        return len(self._placed)

    def fitted(self, box: Box) -> Box:
        """Return the area around another in the proportions of the picture, within limits.

        Its middle is on the map, and its width at least LEAST of the map's, at most 1 / LEAST.
        """
        if self.box is None:
            return box
        whole_left, whole_bottom, whole_right, whole_top = self.box
        left, bottom, right, top = box
        whole = whole_right - whole_left
        width = max(right - left, (top - bottom) * WIDTH / HEIGHT)
        x = min(max(left / 2 + right / 2, whole_left), whole_right)
        y = min(max(bottom / 2 + top / 2, whole_bottom), whole_top)
        return _box(x, y, min(max(width, LEAST * whole), whole / LEAST))

    def zoomed(self, box: Box, across: float, down: float, factor: float = ZOOM) -> Box | None:
        """Return the area around a point of an area; None for the whole map.

        Args:
            box: Area.
            across: Share of the way from left to right.
            down: Share of the way from top to bottom.
            factor: Magnification; below 1 it shows more.
        """
        left, bottom, right, top = box
        width = (right - left) / factor
        if self.box is None or width >= (self.box[2] - self.box[0]) * 0.99:
            return None
        return _box(left + across * (right - left), top - down * (top - bottom), width)

    def draw(self, box: Box, marked: np.ndarray | None) -> bytes:
        """Draw an area as PNG, on a transparent ground.

        Args:
            box: Area.
            marked: True for each row that is marked; None for none.
        """
        cell = self._cell(box)
        shades = self._grid(box, cell, None)
        if marked is not None:
            above = self._grid(box, cell, marked)
            # All places are pale behind the marked.
            shades = np.where(above > 0, above + _SHADES, np.minimum(shades, _SHADES // 4))
        image = Image.fromarray(shades.repeat(cell, 0).repeat(cell, 1).astype(np.uint8), "P")
        image.putpalette([0, 0, 0, *_ALL * _SHADES, *_MARKED * _SHADES])
        pale, strong = (
            np.linspace(least, 255, _SHADES).astype(np.uint8).tobytes() for least in (90, 170)
        )
        file = BytesIO()
        image.save(file, "PNG", transparency=b"\0" + pale + strong, compress_level=3)
        return file.getvalue()

    def _grid(self, box: Box, cell: int, marked: np.ndarray | None) -> np.ndarray:
        """Return shades from 0 to _SHADES by the logarithm of the places of each cell."""
        left, bottom, right, top = box
        columns, rows = WIDTH // cell, HEIGHT // cell
        x, y = self._columns if marked is None else self.xy[marked].T
        column = (x - np.float32(left)) * np.float32(columns / (right - left))
        row = (np.float32(top) - y) * np.float32(rows / (top - bottom))
        # No comparison with NaN is true.
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        cells = row[inside].astype(np.int32) * columns + column[inside].astype(np.int32)
        counts = np.bincount(cells, minlength=rows * columns).reshape(rows, columns)
        most = max(2.0, float(np.log1p(counts.max(initial=0))))
        shades: np.ndarray = np.ceil(np.log1p(counts) * (_SHADES / most)).astype(np.int16)
        return shades

    def _cell(self, box: Box) -> int:
        """Return the width of a cell: a sparse map has large ones."""
        left, bottom, right, top = box
        x, y = self._columns
        inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
        wanted = WIDTH // max(1, 4 * isqrt(int(np.count_nonzero(inside))))
        return max((cell for cell in CELLS if cell <= wanted), default=1)

    @cached_property
    def _placed(self) -> np.ndarray:
        placed: np.ndarray = self.xy[~np.isnan(self.xy[:, 0])]
        return placed

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray]:
        return self._placed[:, 0].copy(), self._placed[:, 1].copy()


def _box(x: float, y: float, width: float) -> Box:
    """Return the area of a width around a point, in the proportions of the picture."""
    height = width * HEIGHT / WIDTH
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
