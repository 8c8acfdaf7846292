"""A benchmark's problems in a JSON-lines file."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from persona_assets.benchmarks.base import BENCHMARKS, DEFAULT, PROBLEMS, Benchmark, Problem
from persona_assets.ids import content_id, uniform
from persona_assets.storage.step_result import typed_frame


class BenchmarkError(ValueError):
    """A benchmark cannot be read; the message names the place and the reason."""


class BenchmarkFile:
    """Problems of one file, each read by the first layout of `BENCHMARKS` that accepts its row.

    Args:
        path: JSON-lines file.
        setting: Name of the setting that names the file, for messages.
        stratified: Draw problems of each subject and level in proportion, not from all alike.

    Example:
        >>> BenchmarkFile(Path("data/benchmarks/sample.jsonl")).name
        'sample'
    """

    def __init__(
        self, path: Path, setting: str = "PERSONA_BENCHMARK", *, stratified: bool = False
    ) -> None:
        self.path = path
        self._setting = setting
        self._stratified = stratified

    @property
    def name(self) -> str:
        """File name without its endings."""
        return self.path.name.partition(".")[0]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes.

        Raises:
            BenchmarkError: The file cannot be read.
        """
        return hashlib.sha256(self._bytes()).hexdigest()

    @property
    def identity(self) -> str:
        """Text that changes with the problems or with the code that reads and grades them."""
        # These two were read before layouts had names: their tables must not go stale.
        named = [] if self._layout[0] in ("", "math", "gsm8k") else [self._layout[0]]
        return " ".join([self.name, self.sha256, *named])

    @property
    def benchmark(self) -> Benchmark:
        """Extraction and grading of answers, which all lines share (see `problems`)."""
        return self._layout[1]

    @cached_property
    def lines(self) -> int:
        """Number of lines that are not empty: the most problems that the file can have."""
        return sum(bool(line.strip()) for line in self._bytes().splitlines())

    def problems(self, limit: int | None = None) -> pl.DataFrame:
        """Return the problems in the order of their hashes.

        Args:
            limit: Number of problems, the same ones at each call, which a larger number contains;
                None for all.

        Returns:
            Columns of PROBLEMS.

        Raises:
            BenchmarkError: A line is not a problem with an answer, or its layout extracts or grades
                answers differently than that of the first line; the message names the line.
        """
        rows: list[Mapping[str, Any]] = [
            {
                "problem_id": content_id("benchmark", problem.problem),
                "problem": problem.problem,
                "answer": problem.answer,
                "subject": problem.subject,
                "level": problem.level,
            }
            for problem in self._read()
        ]
        rows.sort(key=lambda row: uniform("benchmark", str(row["problem_id"])))
        if limit is not None and self._stratified:
            rows = _in_proportion(rows)
        return typed_frame(rows[:limit], PROBLEMS)

    @cached_property
    def _layout(self) -> tuple[str, Benchmark]:
        """Name and layout of the first line; no name if no layout accepts it."""
        first = self._bytes().partition(b"\n")[0]
        loaded = _load(first)
        return ("", DEFAULT) if loaded is None else loaded[:2]

    def _read(self) -> Iterator[Problem]:
        for number, line in enumerate(self._bytes().splitlines(), start=1):
            loaded = _load(line)
            if loaded is None:
                raise BenchmarkError(
                    f"{self.path} line {number}: expected a JSON object with problem and solution, "
                    "the answer in \\boxed{}; with question and answer, the answer after ####; or "
                    "with problem and answer, a whole number up to 999 "
                    f"(layouts: {', '.join(BENCHMARKS.names())})"
                )
            name, layout, problem = loaded
            if not _alike(layout, self.benchmark):
                raise BenchmarkError(
                    f"{self.path} line {number}: layout {name} grades answers differently than "
                    f"{self._layout[0]}, the layout of line 1: put its problems into another file"
                )
            yield problem

    def _bytes(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise BenchmarkError(
                f"no benchmark at {self.path} ({error.strerror}): set {self._setting}"
            ) from None


def _in_proportion(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Order rows so that each of the first n has its share of every subject and level.

    The places of a stratum are evenly spaced from 0 to 1, after a start drawn by a hash.
    """
    strata: dict[tuple[str | None, str | None], list[Mapping[str, Any]]] = {}
    for row in rows:
        strata.setdefault((row["subject"], row["level"]), []).append(row)
    placed = [
        ((number + uniform("benchmark", json.dumps(stratum))) / len(of_stratum), row)
        for stratum, of_stratum in strata.items()
        for number, row in enumerate(of_stratum)
    ]
    placed.sort(key=lambda pair: (pair[0], pair[1]["problem_id"]))
    return [row for _, row in placed]


def _alike(first: Benchmark, second: Benchmark) -> bool:
    """Return True if two layouts extract and grade answers by the same code."""
    kinds = type(first), type(second)
    return len({(kind.extract, kind.grade) for kind in kinds}) == 1


def _load(line: bytes) -> tuple[str, Benchmark, Problem] | None:
    """Read one line by the first layout that accepts it."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    for name, layout in BENCHMARKS.all():
        benchmark = layout()
        problem = benchmark.load(row) if isinstance(row, dict) else None
        if problem is not None:
            return name, benchmark, problem
    return None
