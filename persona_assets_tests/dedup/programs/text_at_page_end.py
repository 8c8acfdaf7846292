"""Add texts to an index in the folder argv[1] whose known texts end before an unreadable page.

Reading a byte past the end of the known texts is a segmentation fault.
"""

import ctypes
import mmap
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from persona_assets.dedup.index.column_store import ColumnStore
from persona_assets.dedup.index.word_set_index import WordSetIndex


class GuardedStore(ColumnStore):
    """Columns whose texts end where a page ends, and whose next page cannot be read."""

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        values = super().__getitem__(name)
        if name != "text":
            return values
        end = -(-len(values) // mmap.PAGESIZE) * mmap.PAGESIZE
        pages = np.frombuffer(mmap.mmap(-1, end + mmap.PAGESIZE), np.uint8)
        pages[end - len(values) : end] = values
        next_page = ctypes.c_void_p(pages.ctypes.data + end)
        assert ctypes.CDLL(None).mprotect(next_page, mmap.PAGESIZE, 0) == 0
        pages.flags.writeable = False
        return pages[end - len(values) : end]


for extra in range(8):
    with GuardedStore(Path(sys.argv[1]), WordSetIndex.SHAPES, str(extra)) as columns:
        sets = WordSetIndex(columns, Fraction(9, 10), "exact", 1)
        assert sets.add(["a retired nurse" + "x" * extra]).tolist() == [0]
        columns.commit({})
        assert sets.add(["x", "nurse" + "x" * extra + " retired a"]).tolist() == [1, 0]
