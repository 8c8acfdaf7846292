"""Report of a join on Spark: log lines while it runs, and figures of each step."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Log: TypeAlias = Callable[[str], None]
"""Receiver of log lines."""


@dataclass(frozen=True)
class JoinReport:
    """Figures of a finished join.

    Args:
        rows: Number of rows that took part.
        sets: Number of different word sets.
        keys: Number of keys of all sets.
        candidates: Number of pairs whose words were compared.
        pairs: Number of near-duplicate pairs.
        shuffle_bytes: Compressed bytes written to shuffles, by step.
        seconds: Wall-clock seconds, by step.
    """

    rows: int
    sets: int
    keys: int
    candidates: int
    pairs: int
    shuffle_bytes: Mapping[str, int]
    seconds: Mapping[str, float]

    @property
    def shuffle_bytes_per_row(self) -> float:
        """Shuffle bytes of all steps per row."""
        return sum(self.shuffle_bytes.values()) / max(self.rows, 1)


@dataclass
class StepTimes:
    """Recorder of the seconds and shuffle bytes of each step."""

    spark: "SparkSession"
    seconds: dict[str, float] = field(default_factory=dict)
    shuffle_bytes: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record the block that runs inside this context as a step."""
        start, before = time.monotonic(), self._written_bytes()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)
        self.shuffle_bytes[name] = self._written_bytes() - before

    def _written_bytes(self) -> int:
        """Return the shuffle bytes of all stages so far, which Spark counts even without its UI."""
        context: Any = self.spark.sparkContext
        scala, java = context._jsc.sc(), context._gateway
        scala.listenerBus().waitUntilEmpty()
        empty = java.jvm.java.util.ArrayList()
        stages = scala.statusStore().stageList(
            empty, False, False, java.new_array(java.jvm.double, 0), empty
        )
        return sum(int(stages.apply(i).shuffleWriteBytes()) for i in range(stages.size()))
