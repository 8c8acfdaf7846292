"""Problem sets that fine-tuned models are measured on, by the asset of their accuracy."""

import re
from collections.abc import Mapping
from pathlib import Path

from persona_assets.benchmarks.benchmark_file import BenchmarkFile
from persona_assets.settings import Settings, SettingsError
from persona_assets.steps.evaluation import SYNTHETIC

SYNTHETIC_ACCURACY = f"{SYNTHETIC}_accuracy"
"""Asset of the accuracy on the synthetic test, which no file holds."""

BENCHMARK_ACCURACY = "math_accuracy"
"""Asset of the accuracy on the file of the setting `benchmark`."""

FOLDER = Path("data/benchmarks")
"""Folder of a problem set that is given by its bare name."""

ProblemSets = Mapping[str, BenchmarkFile | None]
"""Files of problem sets by the asset of their accuracy; None for the synthetic test."""


def problem_sets(settings: Settings) -> ProblemSets:
    """Return the problem sets of a project.

    The file of the setting `benchmark` keeps its asset wherever it is in the list, so that a list
    made from it asks nothing again.

    Raises:
        SettingsError: Two problem sets have the same name, or none is measured.

    Example:
        >>> settings = Settings.load(benchmarks=("synthetic", "math-500", "/my/aime.jsonl"))
        >>> list(problem_sets(settings))
        ['synthetic_accuracy', 'math_500_accuracy', 'aime_accuracy']
    """
    stratified = settings.benchmark_draw == "stratified"
    if settings.benchmarks is None:
        benchmark = BenchmarkFile(settings.benchmark, stratified=stratified)
        return _distinct({SYNTHETIC_ACCURACY: None, BENCHMARK_ACCURACY: benchmark})
    sets: dict[str, BenchmarkFile | None] = {}
    for entry in settings.benchmarks:
        asset, file = _problem_set(entry, settings.benchmark, stratified)
        if asset in sets:
            raise SettingsError(
                f"setting PERSONA_BENCHMARKS: {entry} would be the second table {asset}: rename "
                "its file, or remove the entry"
            )
        sets[asset] = file
    if not sets:
        raise SettingsError(
            "setting PERSONA_BENCHMARKS: the list is empty: name a problem set, such as synthetic, "
            "or remove the setting"
        )
    return _distinct(sets)


def _distinct(sets: ProblemSets) -> ProblemSets:
    """Return problem sets if their names differ: figures of the same name would be mixed up."""
    names = {SYNTHETIC}
    for file in filter(None, sets.values()):
        name = _slug(file)
        if name in names:
            raise SettingsError(
                f"setting PERSONA_BENCHMARKS: {file.path} would be the second problem set named "
                f"{name}: rename the file"
            )
        names.add(name)
    return sets


def _problem_set(entry: str, benchmark: Path, stratified: bool) -> tuple[str, BenchmarkFile | None]:
    if entry == SYNTHETIC:
        return SYNTHETIC_ACCURACY, None
    path = Path(entry) if Path(entry).suffix or "/" in entry else FOLDER / f"{entry}.jsonl"
    if path.expanduser().resolve() == benchmark.expanduser().resolve():
        return BENCHMARK_ACCURACY, BenchmarkFile(benchmark, stratified=stratified)
    file = BenchmarkFile(path, "PERSONA_BENCHMARKS", stratified=stratified)
    slug = _slug(file)
    if not slug:
        raise SettingsError(
            f"setting PERSONA_BENCHMARKS: the file name of {entry} has no letter or digit to name "
            "a table by: rename it"
        )
    return f"{slug}_accuracy", file


def _slug(file: BenchmarkFile) -> str:
    return re.sub(r"\W+", "_", file.name, flags=re.ASCII).strip("_").lower()
