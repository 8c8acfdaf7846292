"""Append to the columns in the folder argv[1], and kill this process before the commit."""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from persona_assets.dedup.index.column_store import ColumnStore

SHAPES = {"number": ("i8", ()), "pair": ("u4", (2,))}

with ColumnStore(Path(sys.argv[1]), SHAPES, "one") as columns:
    columns.append("number", np.arange(5))
    columns.append("pair", np.zeros((9, 2), np.uint32))
    os.kill(os.getpid(), signal.SIGKILL)
