"""A benchmark's layout as another package would add it."""

from collections.abc import Mapping
from typing import Any

from persona_assets.benchmarks.base import Benchmark, Problem


class Olympiad(Benchmark):
    """Problems of the layout {"statement": ..., "final": [...]}."""

    def load(self, row: Mapping[str, Any]) -> Problem | None:
        return Problem(row["statement"], row["final"][0]) if "final" in row else None

    def extract(self, reply: str) -> str | None:
        return reply.rpartition("Final:")[2].strip() or None
