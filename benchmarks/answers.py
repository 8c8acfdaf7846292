"""Errors of graders of mathematical answers, on generated pairs and on answers of models.

    SHARED_DATA=../shared/data python benchmarks/answers.py      # golds of math_test.jsonl
    python benchmarks/answers.py --kinds --worst worst.md        # a line per kind, worst first
    python benchmarks/answers.py --pairs 2 --graders persona_assets --only interval
    python benchmarks/answers.py --problems math500_test.json --answers A.json B.jsonl \\
        --disagreements disagreements.jsonl --labels labels.jsonl

Generated pairs are a gold answer and a rewriting that a person accepts, or a perturbation that a
person rejects. Gold answers are those of `--golds`, the test split of MATH, which is no part of the
project, and those of answer_pairs/own_golds.py. Each pair is graded in both orders.

Graders: `persona_assets` (`Grader`), `math-verify` with its default settings, and `string-rules`
(peers/string_rules.py, in the manner of PRM800K).

Answers of models come from files, see `real_answers`. `--disagreements` lists those on which
graders differ. `--labels` names JSON lines with `gold`, `answer` and `equal`, the verdicts of a
reader: true, false, or null for a text that the reader cannot decide.

Figures:
    golds: Number of gold answers.
    rewritings, perturbations: Number of kinds.
    rewriting_pairs, perturbation_pairs: Number of pairs.
    read_back: Share of the pairs whose value the generator read back from the text and compared.
    grader, version: Name of a grader, and version of its distribution.
    false_negatives: Share of the rewritings that the grader does not accept, over both orders.
    false_positives: Share of the perturbations that it accepts, over both orders.
    undecided: Number of verdicts that are neither, over both orders.
    asymmetric: Number of pairs whose verdict depends on the order.
    wall_s: Seconds of all verdicts.
    kind, change: Name of a kind, and "rewriting" or "perturbation".
    pairs: Number of pairs of the kind, or number of different real pairs.
    failed: Share of wrong verdicts of each grader.
    gold, answer: Example of a pair of the kind that the first grader fails.
    answers: Number of real answers, repeated pairs included.
    accepted: Share of the real answers that the grader accepts.
    disagreements: Number of real answers on which two graders differ, by their names.
    labelled, unsure: Number of real answers with a label, and with the label null.
    wrong: Share of the real answers on which the grader differs from the label. Answers with the
        label null are left out; an answer without a label counts as right.
    wrong_accepted, wrong_rejected: Number of wrong verdicts that accept, and that do not.
"""

import argparse
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

from answer_pairs.graders import GRADERS, Verdict
from answer_pairs.pairs import Pair, golds, pairs
from answer_pairs.real import real_answers
from figures import print_figures

Line = dict[str, Any]
Texts = tuple[str, str]


def generated(options: argparse.Namespace) -> Iterator[Line]:
    """Yield figures of the generated pairs."""
    found = golds(options.golds)
    made = list(pairs(found, options.pairs, options.seed, options.only))
    rewritten = [pair for pair in made if pair.equal]
    kinds = Counter((pair.kind, pair.equal) for pair in made)
    yield {
        "golds": len(found),
        "rewritings": sum(equal for _, equal in kinds),
        "perturbations": sum(not equal for _, equal in kinds),
        "rewriting_pairs": len(rewritten),
        "perturbation_pairs": len(made) - len(rewritten),
        "read_back": sum(pair.checked for pair in made) / len(made),
    }
    verdicts: dict[str, list[list[Verdict]]] = {}
    for name in options.graders:
        start = time.perf_counter()
        forward = [(pair.gold, pair.answer) for pair in made]
        backward = [(answer, gold) for gold, answer in forward]
        both = _graded(name, forward + backward, options.workers)
        seconds = time.perf_counter() - start
        verdicts[name] = [both[: len(made)], both[len(made) :]]
        yield _errors(name, made, verdicts[name]) | {"wall_s": seconds}
    if options.kinds or options.worst:
        lines = list(_kinds(made, verdicts))
        if options.kinds:
            yield from lines
        if options.worst:
            options.worst.write_text(_page(made, verdicts[options.graders[0]]), encoding="utf-8")


def _graded(name: str, texts: Sequence[Texts], workers: int) -> list[Verdict]:
    """Return the verdicts of a grader, each pair of texts graded once."""
    unique = list(dict.fromkeys(texts))
    known = dict(zip(unique, GRADERS[name].grade(unique, workers), strict=True))
    return [known[pair] for pair in texts]


def _errors(name: str, made: Sequence[Pair], orders: Sequence[Sequence[Verdict]]) -> Line:
    judged = [
        (pair, verdict) for verdicts in orders for pair, verdict in zip(made, verdicts, strict=True)
    ]
    equal = [verdict for pair, verdict in judged if pair.equal]
    different = [verdict for pair, verdict in judged if not pair.equal]
    return {
        "grader": name,
        "version": version(GRADERS[name].distribution),
        "false_negatives": sum(verdict is not True for verdict in equal) / len(equal),
        "false_positives": sum(verdict is True for verdict in different) / len(different),
        "undecided": sum(verdict is None for _, verdict in judged),
        "asymmetric": sum(one is not other for one, other in zip(*orders, strict=True)),
    }


def _kinds(made: Sequence[Pair], verdicts: dict[str, list[list[Verdict]]]) -> Iterator[Line]:
    """Yield a line per kind, those first on which the first grader is worst."""
    members: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for index, pair in enumerate(made):
        members[pair.kind, pair.equal].append(index)
    first = next(iter(verdicts))

    def failures(name: str, kind: tuple[str, bool]) -> list[int]:
        return [
            index
            for order in verdicts[name]
            for index in members[kind]
            if (order[index] is True) is not made[index].equal
        ]

    for kind in sorted(members, key=lambda kind: -len(failures(first, kind)) / len(members[kind])):
        failed = failures(first, kind)
        example = made[failed[0] if failed else members[kind][0]]
        yield {
            "kind": kind[0],
            "change": "rewriting" if kind[1] else "perturbation",
            "pairs": len(members[kind]),
            "failed": {
                name: len(failures(name, kind)) / (2 * len(members[kind])) for name in verdicts
            },
            "gold": example.gold,
            "answer": example.answer,
        }


def _page(made: Sequence[Pair], orders: Sequence[Sequence[Verdict]], examples: int = 6) -> str:
    """Return a page of the kinds with failures, worst first, with examples."""
    words: dict[Verdict, str] = {True: "accepted", False: "rejected", None: "undecided"}
    failed: dict[tuple[bool, str], dict[int, str]] = defaultdict(dict)
    for index, pair in enumerate(made):
        both = [order[index] for order in orders]
        if any((verdict is True) is not pair.equal for verdict in both):
            failed[pair.equal, pair.kind][index] = " / ".join(words[verdict] for verdict in both)
    counts = Counter((pair.equal, pair.kind) for pair in made)
    text = ""
    for equal, title in ((False, "Perturbations accepted"), (True, "Rewritings not accepted")):
        text += f"# {title}\n\nVerdicts: gold first / answer first.\n\n"
        kinds = [kind for kind in failed if kind[0] is equal]
        for kind in sorted(kinds, key=lambda kind: -len(failed[kind]) / counts[kind]):
            text += f"## {kind[1]}: {len(failed[kind])} of {counts[kind]}\n\n"
            for index, given in list(failed[kind].items())[:examples]:
                text += f"- `{made[index].gold!r}` and `{made[index].answer!r}`: {given}\n"
            text += "\n"
    return text


def real(options: argparse.Namespace) -> Iterator[Line]:
    """Yield figures of real answers, and write the answers on which graders differ."""
    texts = list(real_answers(options.answers, options.problems))
    yield {"answers": len(texts), "pairs": len(set(texts))}
    verdicts: dict[str, list[Verdict]] = {}
    seconds = {}
    for name in options.graders:
        start = time.perf_counter()
        verdicts[name] = _graded(name, texts, options.workers)
        seconds[name] = time.perf_counter() - start
    labels = _labels(options.labels) if options.labels else {}
    read = [labels.get(pair) for pair in texts]
    unsure = sum(pair in labels and labels[pair] is None for pair in texts)
    for name, given in verdicts.items():
        wrong = [
            equal
            for verdict, equal in zip(given, read, strict=True)
            if equal is not None and (verdict is True) is not equal
        ]
        line: Line = {
            "grader": name,
            "version": version(GRADERS[name].distribution),
            "accepted": sum(verdict is True for verdict in given) / len(texts),
            "undecided": sum(verdict is None for verdict in given),
            "wall_s": seconds[name],
        }
        if labels:
            line |= {
                "labelled": sum(equal is not None for equal in read),
                "unsure": unsure,
                "wrong": len(wrong) / (len(texts) - unsure),
                "wrong_accepted": wrong.count(False),
                "wrong_rejected": wrong.count(True),
            }
        yield line
    yield {
        "disagreements": {
            f"{one}, {other}": sum(
                (mine is True) is not (theirs is True)
                for mine, theirs in zip(verdicts[one], verdicts[other], strict=True)
            )
            for one, other in combinations(verdicts, 2)
        }
    }
    if options.disagreements:
        _write(options.disagreements, texts, verdicts)


def _write(path: Path, texts: Sequence[Texts], verdicts: dict[str, list[Verdict]]) -> None:
    """Write each pair on which graders differ, with its number of answers."""
    counts = Counter(texts)
    first = {pair: index for index, pair in reversed(list(enumerate(texts)))}
    with path.open("w", encoding="utf-8") as lines:
        for pair, index in sorted(first.items(), key=lambda item: item[1]):
            given = {name: verdicts[name][index] for name in verdicts}
            if len({verdict is True for verdict in given.values()}) > 1:
                row = {"gold": pair[0], "answer": pair[1], "answers": counts[pair]} | given
                print(json.dumps(row, ensure_ascii=False), file=lines)


def _labels(path: Path) -> dict[Texts, bool | None]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {(row["gold"], row["answer"]): row["equal"] for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("SHARED_DATA") or ".") / "math_test.jsonl"
    parser.add_argument(
        "--golds",
        type=Path,
        default=shared if shared.is_file() else None,
        help="JSONL in the layout of MATH; default: math_test.jsonl in the folder SHARED_DATA",
    )
    parser.add_argument("--pairs", type=int, default=75, help="most pairs of a kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--graders", nargs="+", choices=list(GRADERS), default=list(GRADERS))
    parser.add_argument("--only", default="", help="only kinds whose name contains this text")
    parser.add_argument("--kinds", action="store_true", help="print a line per kind, worst first")
    parser.add_argument("--worst", type=Path, help="page of failures of the first grader, to write")
    parser.add_argument("--answers", type=Path, nargs="+", help="files of real answers")
    parser.add_argument("--problems", type=Path, help="JSON list of the problems to keep")
    parser.add_argument("--disagreements", type=Path, help="JSONL to write")
    parser.add_argument("--labels", type=Path, help="JSONL of the verdicts of a reader")
    options = parser.parse_args()
    work: Callable[[argparse.Namespace], Iterator[Line]] = real if options.answers else generated
    for line in work(options):
        print_figures(line, digits=5)


if __name__ == "__main__":
    main()
