"""Graders: functions from pairs of texts to verdicts."""

import logging
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from peers.string_rules import equal as equal_by_rules

from persona_assets.resources.grader import Grader

Texts = tuple[str, str]
Verdict = bool | None

SECONDS = 10
"""Time limit of a pair of the peers that have none of their own."""


@dataclass(frozen=True)
class Entry:
    """Grader of the benchmark.

    Attributes:
        distribution: Name of the distribution whose version is printed.
        grade: Function of pairs (gold answer first) and a number of processes.
    """

    distribution: str
    grade: Callable[[Sequence[Texts], int], list[Verdict]]


def _ours(pairs: Sequence[Texts], workers: int) -> list[Verdict]:
    with Grader(workers=workers) as grader:
        return grader.equal(pairs)


def _pooled(verdict: Callable[[Texts], Verdict]) -> Callable[[Sequence[Texts], int], list[Verdict]]:
    def grade(pairs: Sequence[Texts], workers: int) -> list[Verdict]:
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, maxtasksperchild=200) as pool:
            return list(pool.imap(verdict, pairs, chunksize=20))

    return grade


def _math_verify(pair: Texts) -> Verdict:
    """Call math-verify as its README does: parse the gold answer and the answer, then verify."""
    from math_verify import parse, verify  # pyright: ignore[reportMissingTypeStubs]

    logging.disable(logging.CRITICAL)
    gold, answer = (parse(f"${text}$") for text in pair)
    return bool(verify(gold, answer))


def _rules(pair: Texts) -> Verdict:
    def stop(signum: int, frame: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        return equal_by_rules(*pair)
    except (TimeoutError, ValueError, OverflowError, RecursionError):
        return None
    finally:
        signal.alarm(0)


GRADERS = {
    "persona_assets": Entry("persona_assets", _ours),
    "math-verify": Entry("math-verify", _pooled(_math_verify)),
    "string-rules": Entry("sympy", _pooled(_rules)),
}
