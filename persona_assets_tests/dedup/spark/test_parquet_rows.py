"""Specification of `positions`: row numbers of files as positions among rows that take part."""

import numpy as np
import pytest

from persona_assets.dedup.spark.parquet_rows import positions


def test_positions_skip_rows_that_do_not_take_part_and_refuse_their_numbers() -> None:
    members = [np.array([0, 4]), np.array([], np.int64), np.array([2])]
    rows = np.array([2 << 32 | 2, 4, 0])
    assert positions(rows, members).tolist() == [2, 1, 0]
    for row in (1, 5, 1 << 32, 2 << 32, 3 << 32, -1):
        with pytest.raises(ValueError, match="not that of a row that takes part"):
            positions(np.array([0, row]), members)
