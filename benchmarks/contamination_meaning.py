r"""Plants that the search by meaning finds beside that by words, its false alarms, and its time.

    python benchmarks/contamination_meaning.py --problems MATH.jsonl --innocent GSM8K.jsonl

Vectors are those of the embedded model. Without files, invented problems stand in for the
benchmark. Thresholds are compared on random halves of the benchmark, so that a choice on one half
can be judged by the other; plants and alarms belong to the half of the problem that was planted or
searched. All other figures are those of `--cosine`.

Figures:
    half: 1 or 2
    cosine, evidence: thresholds of the search and of the second look
    paraphrases: number of paraphrases planted
    found_by_words, found: share of the plants found by words, and by words or meaning
    problems: problems of the half, each searched among all others
    others_by_words, others: number of problems in which another is found by words, and by words or
        meaning, pairs apart that are equal but for numbers
    plant, planted: way of hiding a problem, see `contamination_data.py`, and number of plants;
        "rewritten" are problems of the committed sample put in other words by hand, searched for
        among those of the sample and the benchmark together
    innocent, searched: problems of another origin, and their number
    alarms_by_words, alarms: number of them in which a problem is found by words, and by words or
        meaning
    judged, searched, judge_from: origin of problems, their number, and cosine above which a judge
        reads a neighbour
    asked_about, questions, most: number of problems on which neither words nor meaning decide and
        which have such a neighbour, number of these pairs, and most of them for a problem
    reached: share of the plants whose problem is in a pair or was found before
    embedded, embedding_cpu_s, embedding_us_per_text: texts, and processor time of their vectors, on
        one thread
    vectors, against, neighbours, search_cpu_s: rows and columns of the search, the pairs found, and
        its time on one thread; vectors are sums of two of the benchmark's and noise
    looks, look_us: second looks at neighbours, and microseconds for each
"""

import argparse
import os
import random
import time
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

# Libraries read this when they are imported.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from contamination import SAMPLE, forbidden, found_pairs, read
from contamination_data import PLANTS, problems
from contamination_rewrites import REWRITES
from figures import print_figures

from persona_assets.local_models.embedder import MINILM, LocalEmbedder
from persona_assets.steps.contamination import ProblemIndex
from persona_assets.steps.judged_neighbours import MOST
from persona_assets.steps.neighbours import neighbours
from persona_assets.steps.second_look import EVIDENCE, SecondLook

COSINES = (0.75, 0.8, 0.85, 0.9, 0.95)
JUDGE_FROM = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8)
EVIDENCES = (0.9, 1.0, 1.1, 1.2, 1.4)

Pair = tuple[int, int, float, float]
"""Text, problem, cosine and evidence."""


def main() -> None:
    """Print a line per pair of thresholds and half, plant, set of problems, and time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=Path, help="benchmark; invented problems unless given")
    parser.add_argument("--invented", type=int, default=300, help="number of invented problems")
    parser.add_argument("--innocent", type=Path, nargs="*", default=[], help="further problems")
    parser.add_argument("--plants", type=int, default=1000, help="plants of each kind")
    parser.add_argument("--vectors", type=int, default=50_000, help="vectors of the timing")
    parser.add_argument("--cosine", type=float, default=0.9, help="threshold of the search")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    given = read(options.problems) if options.problems else problems(options.invented)
    run = Run(given, options.seed, options.cosine)
    for figures in run.thresholds(options.plants):
        print_figures(figures, 4)
    for name in PLANTS:
        print_figures(run.plant(name, options.plants), 4)
    for figures in run.rewritten():
        print_figures(figures, 4)
    for path in [*options.innocent, SAMPLE]:
        print_figures(run.innocent(path.stem, read(path)))
    plants = run.plants("paraphrase", options.plants)
    own = [number for number, _ in plants]
    for figures in run.judged("paraphrase", [text for _, text in plants], own):
        print_figures(figures, 4)
    for path in [*options.innocent, SAMPLE]:
        for figures in run.judged(path.stem, read(path)):
            print_figures(figures, 4)
    print_figures(run.embedding_time())
    print_figures(run.search_time(options.vectors))
    print_figures(run.look_time())


class Run:
    """Benchmark problems with their vectors, in two halves."""

    def __init__(
        self,
        benchmark: Sequence[str],
        seed: int,
        cosine: float,
        known: dict[str, np.ndarray] | None = None,
    ) -> None:
        self.benchmark = list(benchmark)
        self.seed, self.cosine = seed, cosine
        self.embedder = LocalEmbedder(MINILM, threads=1)
        self.embedding_s = 0.0
        self.known = known or {}
        self.vectors = self.embed(self.benchmark)
        self.index = ProblemIndex(forbidden(self.benchmark))
        self.look = SecondLook(self.benchmark)
        order = random.Random(seed).sample(range(len(self.benchmark)), len(self.benchmark))
        self.half = {number: 1 + place % 2 for place, number in enumerate(order)}

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of texts, each embedded once, and count their time."""
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        start = time.process_time()
        vectors = self.embedder.embed(new)
        self.embedding_s += time.process_time() - start
        self.known |= zip(new, vectors, strict=True)
        return np.array([self.known[text] for text in texts], np.float32)

    def pairs(self, texts: Sequence[str], vectors: np.ndarray, cosine: float) -> Iterable[Pair]:
        """Yield the neighbours of texts with the evidence of the second look."""
        for rows, numbers, cosines in neighbours(vectors, self.vectors, cosine):
            found = zip(rows.tolist(), numbers.tolist(), cosines.tolist(), strict=True)
            for row, number, exact in found:
                yield row, number, exact, self.look.compare(number, texts[row]).evidence

    def plants(self, name: str, count: int) -> list[tuple[int, str]]:
        """Return plants of a kind, each with the number of its problem: as in contamination.py."""
        chance = random.Random(f"{name} {self.seed}")
        made: list[tuple[int, str]] = []
        for number in chance.sample(range(len(self.benchmark)), len(self.benchmark)):
            plant = PLANTS[name](self.benchmark[number], chance)
            if plant is not None and len(made) < count:
                made.append((number, plant))
        return made

    def missed(self, texts: Sequence[str]) -> list[int]:
        """Return the numbers of the texts in which no problem is found by words."""
        return [row for row, found in enumerate(self.index.search(texts)) if found is None]

    def thresholds(self, count: int) -> Iterable[dict[str, Any]]:
        """Yield the paraphrases found and the problems like others, for each pair of thresholds."""
        plants = self.plants("paraphrase", count)
        missed = self.missed([text for _, text in plants])
        texts = [plants[row][1] for row in missed]
        near = list(self.pairs(texts, self.embed(texts), min(COSINES)))
        words: set[int] = set()
        marked: set[int] = set()
        for row, other, but_for_numbers in found_pairs(self.benchmark, self.benchmark):
            if row != other:
                (marked if but_for_numbers else words).add(row)
        alike = [
            pair
            for pair in self.pairs(self.benchmark, self.vectors, min(COSINES))
            if pair[0] != pair[1] and pair[3]
        ]
        for half, cosine, evidence in product((1, 2), COSINES, EVIDENCES):
            own = [self.half[number] == half for number, _ in plants]
            found = {missed[row] for row, *pair in near if above(pair, cosine, evidence)}
            by_words = sum(own) - sum(own[row] for row in missed)
            others = words | {row for row, *pair in alike if above(pair, cosine, evidence)}
            yield {
                "half": half,
                "cosine": cosine,
                "evidence": evidence,
                "paraphrases": sum(own),
                "found_by_words": by_words / max(sum(own), 1),
                "found": (by_words + sum(own[row] for row in found)) / max(sum(own), 1),
                "problems": sum(which == half for which in self.half.values()),
                "others_by_words": self.count(words - marked, half),
                "others": self.count(others - marked, half),
            }

    def count(self, rows: Iterable[int], half: int) -> int:
        """Count the problems of a half."""
        return sum(self.half[row] == half for row in rows)

    def plant(self, name: str, count: int) -> dict[str, Any]:
        """Return the share of the plants of a kind that is found in each way."""
        texts = [text for _, text in self.plants(name, count)]
        return {"plant": name, **self.found(texts, self.cosine)}

    def rewritten(self) -> Iterable[dict[str, Any]]:
        """Yield the share of rewritten problems found among sample and benchmark, by cosine."""
        run = Run([*read(SAMPLE), *self.benchmark], self.seed, self.cosine, dict(self.known))
        for cosine in COSINES:
            yield {"plant": "rewritten", **run.found(list(REWRITES.values()), cosine)}
        yield from run.judged("rewritten", list(REWRITES.values()), list(REWRITES))

    def found(self, texts: Sequence[str], cosine: float) -> dict[str, Any]:
        """Return the share of texts in which a problem is found."""
        missed = self.missed(texts)
        left = [texts[row] for row in missed]
        near = self.pairs(left, self.embed(left), cosine) if left else []
        by_meaning = {row for row, *pair in near if above(pair, cosine, EVIDENCE)}
        total = max(len(texts), 1)
        return {
            "cosine": cosine,
            "planted": len(texts),
            "found_by_words": (len(texts) - len(missed)) / total,
            "found": (len(texts) - len(missed) + len(by_meaning)) / total,
        }

    def innocent(self, name: str, texts: Sequence[str]) -> dict[str, Any]:
        """Return the number of texts in which a problem is found."""
        near = self.pairs(texts, self.embed(texts), self.cosine)
        by_meaning = {row for row, *pair in near if above(pair, self.cosine, EVIDENCE)}
        by_words = set(range(len(texts))) - set(self.missed(texts))
        return {
            "innocent": name,
            "searched": len(texts),
            "alarms_by_words": len(by_words),
            "alarms": len(by_words | by_meaning),
        }

    def judged(
        self, name: str, texts: Sequence[str], own: Sequence[int] = ()
    ) -> Iterable[dict[str, Any]]:
        """Yield the questions that texts lead to, by the cosine from which a judge is asked.

        Args:
            name: Origin of the texts.
            texts: Problems.
            own: Number of the problem that each text retells, for plants.
        """
        missed = self.missed(texts)
        left = [texts[row] for row in missed]
        near = list(self.pairs(left, self.embed(left), min(JUDGE_FROM))) if left else []
        by_meaning = {row for row, *pair in near if above(pair, self.cosine, EVIDENCE)}
        nearest: dict[int, list[tuple[float, int]]] = {}
        for row, number, cosine, _ in near:
            if row not in by_meaning:
                best = [*nearest.get(row, []), (-cosine, number)]
                nearest[row] = sorted(best)[:MOST]
        found = len(texts) - len(missed) + len(by_meaning)
        for least in JUDGE_FROM:
            asked = {
                row: {number for negative, number in best if -negative > least}
                for row, best in nearest.items()
            }
            figures = {
                "judged": name,
                "searched": len(texts),
                "most": MOST,
                "judge_from": least,
                "asked_about": sum(bool(numbers) for numbers in asked.values()),
                "questions": sum(map(len, asked.values())),
            }
            if own:
                seen = sum(own[missed[row]] in numbers for row, numbers in asked.items())
                figures["reached"] = (found + seen) / max(len(texts), 1)
            yield figures

    def embedding_time(self) -> dict[str, Any]:
        """Return the processor time of all vectors so far."""
        return {
            "embedded": len(self.known),
            "embedding_cpu_s": self.embedding_s,
            "embedding_us_per_text": self.embedding_s / len(self.known) * 1e6,
        }

    def search_time(self, count: int, part: int = 65_536) -> dict[str, Any]:
        """Return the processor time of the search for neighbours."""
        chance, dimensions = np.random.default_rng(self.seed), self.vectors.shape[1]
        seconds, pairs = 0.0, 0
        for start in range(0, count, part):
            size = min(part, count - start)
            chosen = self.vectors[chance.integers(len(self.vectors), size=(2, size))].sum(axis=0)
            noise = chance.standard_normal((size, dimensions), np.float32) / dimensions**0.5
            vectors = chosen + noise
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            begin = time.process_time()
            pairs += sum(len(rows) for rows, *_ in neighbours(vectors, self.vectors, self.cosine))
            seconds += time.process_time() - begin
        return {
            "vectors": count,
            "against": len(self.vectors),
            "neighbours": pairs,
            "search_cpu_s": seconds,
        }

    def look_time(self) -> dict[str, Any]:
        """Return the processor time of a second look, at neighbours in the benchmark itself."""
        found = [
            (row, number)
            for rows, numbers, _ in neighbours(self.vectors, self.vectors, self.cosine)
            for row, number in zip(rows.tolist(), numbers.tolist(), strict=True)
        ]
        look = SecondLook(self.benchmark)
        start = time.process_time()
        for row, number in found:
            look.compare(number, self.benchmark[row])
        seconds = time.process_time() - start
        return {"looks": len(found), "look_us": seconds / max(len(found), 1) * 1e6}


def above(pair: Sequence[float], cosine: float, evidence: float) -> bool:
    """Return True for problem, cosine and evidence of a pair if it is above both thresholds."""
    return pair[1] > cosine and pair[2] > evidence


if __name__ == "__main__":
    main()
