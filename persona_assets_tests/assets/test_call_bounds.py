"""Bounds on calls follow from the settings and hold for the worst answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from persona_assets.assets.call_bounds import MOST_PROBES, calls_per_question
from persona_assets.assets.graph import call_bounds
from persona_assets.generation import Endpoint, Engine, Journal, Request, complete
from persona_assets.profiles import DEMO_CALLS
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.settings import Settings
from persona_assets_tests.generation.fault_server import FaultServer

ROOT = Path(__file__).parents[2]


def project(**values: Any) -> Project:
    return Project(Settings.load(prompts=ROOT / "prompts", **values))


def test_bounds_of_the_demo_stay_below_its_declared_calls() -> None:
    shards = len(Corpus(ROOT / "data" / "corpus").shards())
    most = call_bounds(project(profile="demo"), shards).all_calls()
    assert None not in most.values()
    assert sum(calls for calls in most.values() if calls is not None) <= DEMO_CALLS


def test_bounds_are_open_until_the_texts_are_known() -> None:
    paper = project(profile="paper")
    most = call_bounds(paper, shards=3).all_calls()
    assert most["text_personas"] is None
    assert most["math_solutions"] is None
    known = call_bounds(paper, shards=3, texts=10, once=True).all_calls()
    assert known["text_personas"] == 10
    assert [known[f"hop_{hop}_personas"] for hop in (1, 2, 3)] == [10, 30, 90]
    personas = 10 * sum(3**hop for hop in range(7))
    assert known["instructions"] == known["math_problems"] == personas
    # A shard's personas may be in all scripts, each with its probes.
    assert known["persona_embeddings"] == (personas + 3 * MOST_PROBES) // 256 + 3
    # All 84 problems of the sample, each with a verdict, at five sizes.
    assert known["math_accuracy"] == 84 * 5 * 2


def test_bounds_grow_with_shards_where_assets_are_sharded() -> None:
    demo = project(profile="demo")
    one, two = (call_bounds(demo, shards).all_calls() for shards in (1, 2))
    assert one["text_personas"] == 8
    assert two["text_personas"] == 16
    assert one["math_accuracy"] == two["math_accuracy"] == 12


def test_bounds_obey_the_choice_of_a_task() -> None:
    tasks = {
        "tools": {"hops": [0, 2]},
        "instructions": {"hops": [9]},
        "game_npcs": {"like": "A sailor", "nearest": 4, "per_persona": 2},
        "logic_problems": {"like": "A sailor", "similarity": 0.5},
    }
    known = call_bounds(project(tasks=tasks), shards=3, texts=10, once=True).all_calls()
    assert known["tools"] == 10 + 90
    assert known["instructions"] == 0
    # Each shard embeds the description once.
    assert known["game_npcs"] == 3 * 4 * 2 + 3
    assert known["logic_problems"] == 10 * sum(3**hop for hop in range(7)) + 3


def test_bounds_count_the_verdicts_of_a_judge() -> None:
    limits = {"benchmark_limit": 10, "training_sizes": [1, 2], "held_out_share": 0.5}
    tasks = {"math_problems": {"per_shard": 6}}
    algebra = project(**limits, tasks=tasks, equality="math_verify")
    by_algebra = call_bounds(algebra, 2, once=True).all_calls()
    assert by_algebra["math_test"] == 0
    assert by_algebra["math_accuracy"] == 20
    judged = call_bounds(project(**limits, tasks=tasks, equality="judge"), 2, once=True).all_calls()
    assert judged["math_test"] == 3 * 6
    assert judged["synthetic_accuracy"] == judged["math_test"] * 2 // 3 * 2
    assert judged["math_accuracy"] == 2 * 20


def test_bounds_count_every_solution_of_the_assistant() -> None:
    tasks = {"math_problems": {"per_shard": 6}}
    one, five = (
        call_bounds(project(tasks=tasks, held_out_share=0.5, solutions_per_problem=n), 2, once=True)
        for n in (1, 5)
    )
    assert one.calls("math_solutions") == 2 * (6 + 2 * 3)
    assert five.calls("math_solutions") == 2 * (5 * 6 + 2 * 3)


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
def test_calls_per_question_are_reached_and_not_exceeded(
    tmp_path: Path, changes: dict[str, float], sampling: dict[str, float], most: int
) -> None:
    sampled = {"temperature": None, "max_tokens": None, **sampling}
    writer = {"model": "m", "sampling": sampled, **changes}
    assert calls_per_question(project(writer=writer), "text_to_persona") == most
    # The worst case: truncated once, and then never an answer of the right form.
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


def test_bounds_of_ready_personas_count_no_call_up_to_the_hub() -> None:
    paper = project(profile="paper")
    known = call_bounds(paper, shards=2, texts=0, once=True, ready_shards=2, ready=50).all_calls()
    assert known["text_personas"] == 0
    assert {known[f"hop_{hop}_personas"] for hop in range(1, 7)} == {0}
    assert known["instructions"] == 50
    both = call_bounds(paper, shards=3, texts=10, once=True, ready_shards=2, ready=50).all_calls()
    assert both["text_personas"] == both["hop_1_personas"] == 10
    assert both["instructions"] == 50 + 10 * sum(3**hop for hop in range(7))
    assert call_bounds(paper, shards=2, ready_shards=2).all_calls()["text_personas"] == 0
    assert call_bounds(paper, shards=2, ready_shards=2).all_calls()["instructions"] is None
