"""What a join on Spark does and did: lines while it runs, and figures of each step."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Log: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class JoinReport:
    """What a join did. `shuffle_bytes` are those written, compressed; both mappings are by step."""

    rows: int
    sets: int
    keys: int
    candidates: int
    pairs: int
    shuffle_bytes: Mapping[str, int]
    seconds: Mapping[str, float]

    @property
    def shuffle_bytes_per_row(self) -> float:
        return sum(self.shuffle_bytes.values()) / max(self.rows, 1)


@dataclass
class StepTimes:
    """Seconds and shuffle bytes of each step."""

    spark: "SparkSession"
    seconds: dict[str, float] = field(default_factory=dict)
    shuffle_bytes: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start, before = time.monotonic(), self._written()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)
        self.shuffle_bytes[name] = self._written() - before

    def _written(self) -> int:
        """Bytes that all stages so far wrote to shuffles: Spark counts them without a UI, too."""
        context: Any = self.spark.sparkContext
        scala, java = context._jsc.sc(), context._gateway
        scala.listenerBus().waitUntilEmpty()
        nothing = java.jvm.java.util.ArrayList()
        stages = scala.statusStore().stageList(
            nothing, False, False, java.new_array(java.jvm.double, 0), nothing
        )
        return sum(int(stages.apply(i).shuffleWriteBytes()) for i in range(stages.size()))
