r"""Plants that the search for benchmark problems finds, its false alarms, and its time.

    python benchmarks/contamination.py --problems MATH.jsonl --innocent GSM8K.jsonl

Without files, invented problems stand in for the benchmark. The files are JSON lines with `problem`
or `question`.

Figures:
    plant: way of hiding a problem of the benchmark, see `contamination_data.py`
    planted: number of plants
    found: share of the plants that the search finds, whichever problem it names
    named: share of the plants found with the problem that was planted
    but_for_numbers: share of the plants found as equal but for numbers
    reworded: share of the plants found in other words
    innocent: problems that are searched: a file, the committed sample, or the benchmark itself,
        each problem against all others
    searched: number of these problems
    alarms: number of these problems in which another problem is found
    equal: number of the alarms in a pair that is equal but for numbers and letters
    equal_numbers: number of the alarms in a pair whose tokens are equal but for numbers
    texts: number of invented problems in frames of 50 words
    against: number of problems of the benchmark
    index_cpu_s: processor time of reading the benchmark
    cpu_s: processor time of the search, on one thread
    us_per_text: microseconds per text
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import polars as pl
from contamination_data import PLANTS, framed, problems
from figures import print_figures

SAMPLE = Path(__file__).parents[1] / "data" / "benchmarks" / "sample.jsonl"


def main() -> None:
    """Print a line per way of hiding, a line per set of innocent problems, and a line of times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=Path, help="benchmark; invented problems unless given")
    parser.add_argument("--innocent", type=Path, nargs="*", default=[], help="further problems")
    parser.add_argument("--plants", type=int, default=1000, help="plants of each kind")
    parser.add_argument("--texts", type=int, default=50_000, help="texts of the timing")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    benchmark = read(options.problems) if options.problems else problems(300)
    for name in PLANTS:
        print_figures(measure_plant(name, benchmark, options.plants, options.seed), 4)
    for path in [*options.innocent, SAMPLE]:
        print_figures(measure_innocent(path.stem, benchmark, read(path)))
    print_figures(measure_self(benchmark))
    print_figures(measure_time(benchmark, options.texts, options.seed))


def read(path: Path) -> list[str]:
    """Return the problems of a file."""
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return [row.get("problem") or row["question"] for row in rows]


def forbidden(benchmark: Sequence[str]) -> pl.DataFrame:
    """Return problems in the columns of the search, numbered."""
    from persona_assets.steps.contamination import PROBLEMS

    rows = [("benchmark", str(number), problem) for number, problem in enumerate(benchmark)]
    return pl.DataFrame(rows, PROBLEMS, orient="row")


def measure_plant(name: str, benchmark: Sequence[str], count: int, seed: int) -> dict[str, object]:
    """Return the share of the plants of a kind that is found."""
    from persona_assets.steps.contamination import BUT_FOR_NUMBERS, REWORDED, ProblemIndex

    chance = random.Random(f"{name} {seed}")
    plants: list[tuple[int, str]] = []
    for number in chance.sample(range(len(benchmark)), len(benchmark)):
        plant = PLANTS[name](benchmark[number], chance)
        if plant is not None and len(plants) < count:
            plants.append((number, plant))
    found = list(ProblemIndex(forbidden(benchmark)).search(text for _, text in plants))
    total = max(len(plants), 1)
    ways = [each.how for each in found if each]
    return {
        "plant": name,
        "planted": len(plants),
        "found": sum(each is not None for each in found) / total,
        "named": sum(
            each is not None and benchmark[int(each.problem_id)] == benchmark[number]
            for (number, _), each in zip(plants, found, strict=True)
        )
        / total,
        "but_for_numbers": ways.count(BUT_FOR_NUMBERS) / total,
        "reworded": ways.count(REWORDED) / total,
    }


def measure_innocent(
    name: str, benchmark: Sequence[str], innocent: Sequence[str]
) -> dict[str, object]:
    """Return the number of false alarms among problems of another origin."""
    pairs = [
        (row, innocent[row], problem, marked)
        for row, problem, marked in found_pairs(benchmark, innocent)
    ]
    return {"innocent": name, "searched": len(innocent), **alarms(pairs, benchmark)}


def measure_self(benchmark: Sequence[str]) -> dict[str, object]:
    """Return the number of problems of the benchmark that contain another one."""
    pairs = [
        (row, benchmark[row], problem, marked)
        for row, problem, marked in found_pairs(benchmark, benchmark)
        if row != problem
    ]
    return {"innocent": "itself", "searched": len(benchmark), **alarms(pairs, benchmark)}


def found_pairs(benchmark: Sequence[str], texts: Sequence[str]) -> Iterator[tuple[int, int, bool]]:
    """Yield all pairs of a text and a problem that it contains, and whether but for numbers."""
    from persona_assets.steps.contamination import BUT_FOR_NUMBERS, ProblemIndex

    for row, found in ProblemIndex(forbidden(benchmark)).pairs(texts):
        yield row, int(found.problem_id), found.how == BUT_FOR_NUMBERS


def alarms(
    pairs: Sequence[tuple[int, str, int, bool]], benchmark: Sequence[str]
) -> dict[str, object]:
    """Count the texts in pairs, and those with a pair that is equal but for numbers."""
    from persona_assets.steps.problem_tokens import tokens

    def key(problem: str) -> list[str]:
        return ["0" if token[0].isdigit() else token for token in tokens(problem)]

    marked: dict[int, list[bool]] = defaultdict(list)
    same: dict[int, list[bool]] = defaultdict(list)
    for row, text, problem, but_for_numbers in pairs:
        marked[row].append(but_for_numbers)
        same[row].append(key(text) == key(benchmark[problem]))
    return {
        "alarms": len(marked),
        "equal": sum(map(any, marked.values())),
        "equal_numbers": sum(map(any, same.values())),
    }


def measure_time(benchmark: Sequence[str], count: int, seed: int) -> dict[str, object]:
    """Return the processor time of the search in invented problems in frames."""
    from persona_assets.steps.contamination import ProblemIndex

    chance = random.Random(seed)
    frame = framed(50)
    invented = problems(10_000)
    texts = (frame(invented[n % len(invented)], chance) or "" for n in range(count))
    start = time.process_time()
    index = ProblemIndex(forbidden(benchmark))
    read_s = time.process_time() - start
    cpu_s = 0.0
    while batch := list(islice(texts, 20_000)):
        start = time.process_time()
        for _ in index.search(batch):
            pass
        cpu_s += time.process_time() - start
    return {
        "texts": count,
        "against": len(benchmark),
        "index_cpu_s": read_s,
        "cpu_s": cpu_s,
        "us_per_text": cpu_s / count * 1e6,
    }


if __name__ == "__main__":
    main()
