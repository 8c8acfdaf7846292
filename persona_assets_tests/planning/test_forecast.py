"""The bound on calls, and intervals that hold what they say they hold."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from persona_assets.generation import Endpoint, Engine, Journal, Request, complete
from persona_assets.planning.forecast import (
    LEVEL,
    MOST_UNITS,
    PROBES_IN_ALL,
    Interval,
    Quantity,
    asks,
    most_calls,
    to_come,
)
from persona_assets.profiles import DEMO_CALLS
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.settings import Settings
from persona_assets_tests.generation.fault_server import FaultServer

ROOT = Path(__file__).parents[2]
PILOTS = 200


def project(**values: Any) -> Project:
    return Project(Settings.load(prompts=ROOT / "prompts", **values))


def test_the_demo_stays_below_its_declared_calls() -> None:
    shards = len(Corpus(ROOT / "data" / "corpus").shards())
    most = most_calls(project(profile="demo"), shards)
    assert None not in most.values()
    assert sum(calls for calls in most.values() if calls is not None) <= DEMO_CALLS


def test_an_open_limit_has_no_bound_until_the_texts_are_known() -> None:
    paper = project(profile="paper")
    most = most_calls(paper, shards=3)
    assert most["text_personas"] is None
    assert most["math_solutions"] is None
    known = most_calls(paper, shards=3, texts=10, once=True)
    assert known["text_personas"] == 10
    assert [known[f"hop_{hop}_personas"] for hop in (1, 2, 3)] == [10, 30, 90]
    personas = 10 * sum(3**hop for hop in range(7))
    assert known["instructions"] == known["math_problems"] == personas
    # A shard's personas may be in all scripts, and each script's probes go with them.
    assert known["persona_embeddings"] == (personas + 3 * PROBES_IN_ALL) // 256 + 3
    assert known["math_accuracy"] is None


def test_more_shards_cost_more() -> None:
    demo = project(profile="demo")
    one, two = most_calls(demo, 1), most_calls(demo, 2)
    assert one["text_personas"] == 8
    assert two["text_personas"] == 16
    assert one["math_accuracy"] == two["math_accuracy"] == 12


def test_a_judge_is_counted_where_answers_are_compared_by_one() -> None:
    limits = {"benchmark_limit": 10, "training_sizes": [1, 2], "held_out_share": 0.5}
    tasks = {"math_problems": {"per_shard": 6}}
    by_algebra = most_calls(project(**limits, tasks=tasks, equality="math_verify"), 2, once=True)
    assert by_algebra["math_test"] == 0
    assert by_algebra["math_accuracy"] == 20
    judged = most_calls(project(**limits, tasks=tasks, equality="judge"), 2, once=True)
    assert judged["math_test"] == 3 * 6
    assert judged["synthetic_accuracy"] == judged["math_test"] * 2 // 3 * 2
    assert judged["math_accuracy"] == 2 * 20


class Sum(BaseModel):
    total: int


@pytest.mark.parametrize(
    ("changes", "sampling", "most"),
    [
        ({"reasks": 0, "larger_retry": 1}, {"max_tokens": 8}, 1),
        ({"reasks": 2, "larger_retry": 1}, {"max_tokens": 8}, 3),
        ({"reasks": 2, "larger_retry": 2}, {"max_tokens": 8}, 4),
        ({"reasks": 2, "larger_retry": 2}, {}, 3),
        ({"reasks": 2, "larger_retry": 2}, {"max_tokens": 8, "temperature": 0.0}, 2),
    ],
)
def test_a_question_is_asked_no_oftener_than_the_bound_says(
    tmp_path: Path, changes: dict[str, float], sampling: dict[str, float], most: int
) -> None:
    sampled = {"temperature": None, "max_tokens": None, **sampling}
    writer = {"model": "m", "sampling": sampled, **changes}
    assert asks(project(writer=writer), "text_to_persona") == most
    # The worst that can be: cut off once, and then never an answer of the right form.
    cut_off = ["length"] if changes["larger_retry"] > 1 and "max_tokens" in sampling else []
    with FaultServer({"1 + 1": cut_off}, answer=lambda _: json.dumps({"sum": 2})) as server:
        endpoint = Endpoint.model_validate(
            {"model": "m", "base_url": server.url, "api_key_env": None, **changes}
        )
        request = Request("writer", ({"role": "user", "content": "1 + 1"},), sampling, Sum, "json")
        with Journal(tmp_path / "j.jsonl") as journal:
            [answer] = complete([request], Engine(endpoint, journal))
        assert answer.status == "invalid"
        assert server.billed["1 + 1"] == most


def test_a_sample_of_one_has_no_interval_but_its_bound() -> None:
    one = np.array([[3.0]])
    [found] = to_come(one, np.ones_like(one), [Quantity.known(10)], np.random.default_rng(0))
    assert found.interval() == Interval(30, None, None)
    assert found.within(70).interval() == Interval(30, 0, 70)
    assert (found + Quantity.known(5000)).interval().low is not None
    assert (found + Quantity.known(5)).interval().low is None


def test_a_quantity_without_spread_is_itself() -> None:
    same = np.full((5, 1), 2.0)
    [found] = to_come(same, np.ones_like(same), [Quantity.known(10)], np.random.default_rng(0))
    for factor in (1, 0.5):
        interval = found.times(factor).interval()
        assert (interval.estimate, interval.low, interval.high) == pytest.approx((20 * factor,) * 3)
    assert found.largest(Quantity.known(30)).interval() == Interval(30, 30, 30)


@given(
    calls=st.lists(st.integers(0, 20), min_size=2, max_size=40).filter(any),
    ahead=st.integers(1, 10_000),
)
def test_the_interval_is_about_the_ratio_estimate(calls: list[int], ahead: int) -> None:
    amounts = np.array(calls, np.float64)[:, None]
    [found] = to_come(
        amounts, np.ones_like(amounts), [Quantity.known(ahead)], np.random.default_rng(0)
    )
    interval = found.interval()
    assert interval.estimate == pytest.approx(ahead * sum(calls) / len(calls))
    assert interval.low is not None
    assert interval.high is not None
    assert 0 <= interval.low <= interval.estimate <= interval.high


def test_what_was_not_asked_of_a_unit_says_nothing() -> None:
    amounts = np.array([[2.0, 1.0], [4.0, 0.0], [3.0, 0.0]])
    sizes = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    ahead = [Quantity.known(10), Quantity.known(10)]
    first, second = to_come(amounts, sizes, ahead, np.random.default_rng(0))
    assert (first.estimate, second.estimate) == (30, 10)
    assert first.interval().low is not None
    assert second.interval().low is None


def test_a_large_sample_is_resampled_in_blocks_to_the_same_spread() -> None:
    chance = np.random.default_rng(3)
    amounts = chance.poisson(4, (20 * MOST_UNITS, 1)).astype(np.float64)
    [found] = to_come(amounts, np.ones_like(amounts), [Quantity.known(1000)], chance)
    interval = found.interval()
    assert interval.low is not None
    assert interval.high is not None
    # 1000 texts of 4 calls each, give or take 2: a standard deviation of 63.
    assert interval.high - interval.low == pytest.approx(2 * 1.645 * 63, rel=0.15)


World = Callable[[np.random.Generator, int], Any]


def texts(chance: np.random.Generator, count: int) -> Any:
    """Calls of three assets that each text leads to: skewed, and large together."""
    return chance.poisson(chance.gamma(2, 0.5, (count, 1)) * np.array([1, 2, 0.5]))


def shards(chance: np.random.Generator, count: int) -> Any:
    """The same of shards of 20 texts, which differ from each other."""
    unlike = chance.gamma(4, 0.25, (count, 1, 1))
    each = chance.poisson(unlike * chance.gamma(2, 0.5, (count, 20, 1)) * np.array([1, 2, 0.5]))
    return each.sum(axis=1)


@pytest.mark.parametrize(
    ("world", "units", "size", "ahead"),
    [(texts, 10, 1, 300), (texts, 40, 1, 20), (shards, 8, 20, 60), (shards, 16, 20, 4)],
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    world: World, units: int, size: int, ahead: int
) -> None:
    held = np.zeros(5)
    claimed = np.zeros(5)
    for pilot in range(PILOTS):
        chance = np.random.default_rng(pilot)
        made, to_be = world(chance, units).astype(np.float64), world(chance, ahead)
        calls = to_come(
            made,
            np.full(made.shape, float(size)),
            [Quantity.known(ahead * size)] * 3,
            np.random.default_rng(0),
        )
        in_all = calls[0] + calls[1] + calls[2]
        # What a call costs, in units that do not matter: skewed too.
        costs = chance.lognormal(0, 0.7, (max(2, min(200, int(made.sum()))), 1))
        [cost] = to_come(costs, np.ones_like(costs), [in_all], np.random.default_rng(1))
        spent = chance.lognormal(0, 0.7, int(to_be.sum())).sum()
        truths = [*to_be.sum(axis=0), to_be.sum(), spent]
        for number, (quantity, truth) in enumerate(
            zip([*calls, in_all, cost], truths, strict=True)
        ):
            interval = quantity.interval()
            if interval.low is not None and interval.high is not None:
                claimed[number] += 1
                held[number] += interval.low <= truth <= interval.high
    assert (claimed >= 0.9 * PILOTS).all()
    coverage = held / claimed
    assert (coverage >= 0.8).all(), coverage
    # Nor do they cover themselves by being endless.
    assert coverage.mean() <= LEVEL + 0.06, coverage
