from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation import Request
from persona_assets.ids import content_id, sample_id
from persona_assets.prompting.prompts import PromptError
from persona_assets.settings import Task
from persona_assets.steps.hub import HUB
from persona_assets.steps.tasks import build_samples, dataset_schema, draw_personas
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import (
    FAILURES,
    PROMPTS,
    Reply,
    answering,
    prompt,
    user_text,
)

TOOL = {
    "name": "Tide Table",
    "description": "Tells when the tide is high at a pier.",
    "function_name": "tide_table",
    "input_args": [{"name": "pier", "type": "str", "description": "which pier"}],
    "return": "list of times",
    "depend": ["a tide gauge"],
}


def hub(*personas: str) -> pl.DataFrame:
    rows = [
        {"persona_id": content_id(it), "persona": it, "licence": f"licence of {it}", "hop": 0}
        for it in personas
    ]
    return typed_frame(rows, HUB)


PERSONAS = hub(*(f"person {number}" for number in range(300)))
shares = st.floats(0, 1)
limits = st.none() | st.integers(0, 40)


@settings(deadline=None, max_examples=50)
@given(shares, shares)
def test_a_larger_share_keeps_what_a_smaller_one_drew(one: float, other: float) -> None:
    small, large = sorted([one, other])
    few = draw_personas(PERSONAS, "tools", Task(share=small))["persona_id"].to_list()
    many = draw_personas(PERSONAS, "tools", Task(share=large))["persona_id"].to_list()
    assert many[: len(few)] == few


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 300), st.integers(0, 300))
def test_a_larger_limit_keeps_what_a_smaller_one_drew(one: int, other: int) -> None:
    small, large = sorted([one, other])
    few = draw_personas(PERSONAS, "tools", Task(per_shard=small))["persona_id"].to_list()
    assert len(few) == small
    assert (
        draw_personas(PERSONAS, "tools", Task(per_shard=large))["persona_id"].to_list()[:small]
        == few
    )


@settings(deadline=None, max_examples=50)
@given(st.randoms(use_true_random=False), shares, limits)
def test_the_order_of_rows_does_not_matter(
    random: Random, share: float, per_shard: int | None
) -> None:
    order = list(range(len(PERSONAS)))
    random.shuffle(order)
    task = Task(share=share, per_shard=per_shard)
    assert draw_personas(PERSONAS[order], "tools", task).equals(
        draw_personas(PERSONAS, "tools", task)
    )


def test_the_share_is_a_share_and_each_task_draws_its_own() -> None:
    assert len(draw_personas(PERSONAS, "tools", Task())) == 300
    assert len(draw_personas(PERSONAS, "tools", Task(share=0))) == 0
    third = draw_personas(PERSONAS, "tools", Task(share=1 / 3))
    assert 70 < len(third) < 130
    assert not third.equals(draw_personas(PERSONAS, "instructions", Task(share=1 / 3)))
    assert third.schema == HUB


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from(["ok", "copied", *FAILURES]), max_size=6),
    st.integers(1, 3),
    limits,
)
def test_every_sample_ends_as_a_row_or_a_drop(
    kinds: list[str], per_persona: int, per_shard: int | None
) -> None:
    people = hub(*(f"person {number}: {kind}" for number, kind in enumerate(kinds)))
    task = Task(per_persona=per_persona, per_shard=per_shard)

    def reply(request: Request) -> Reply:
        kind = user_text(request).splitlines()[0].split()[-1]
        return TOOL if kind == "ok" else kind

    outcome = build_samples(people, prompt("tools", "few-shot", 2), task, answering(reply))
    used = draw_personas(people, "tools", task)
    asked = {
        sample_id("tools", row["persona_id"], index): row["persona"].split()[-1]
        for row in used.iter_rows(named=True)
        for index in range(per_persona)
    }
    assert outcome.rows_in == len(asked)
    assert set(outcome.rows["sample_id"]) == {it for it, kind in asked.items() if kind == "ok"}
    assert set(outcome.dropped["id"]) == {it for it, kind in asked.items() if kind != "ok"}
    assert outcome.rows.schema == dataset_schema(PROMPTS["tools"])


def test_a_sample_carries_its_persona_licence_and_fields() -> None:
    people = hub("a harbour pilot")
    model = answering(lambda _: TOOL)
    outcome = build_samples(people, prompt("tools"), Task(per_persona=2), model)
    row = outcome.rows.row(0, named=True)
    assert {name: row[name] for name in TOOL} == TOOL
    assert (row["persona"], row["licence"]) == ("a harbour pilot", "licence of a harbour pilot")
    assert row["persona_id"] == people["persona_id"][0]
    # A second sample of one persona is the same question under another index.
    assert [request.index for request in model.asked] == [0, 1]
    assert model.asked[0].messages == model.asked[1].messages
    assert outcome.rows["sample_id"].n_unique() == 2


@pytest.mark.parametrize("name", PROMPTS.tasks)
def test_an_empty_hub_gives_an_empty_dataset_of_the_task_s_fields(name: str) -> None:
    outcome = build_samples(
        hub(), prompt(name), Task(share=0.5, per_shard=2), answering(lambda _: "error")
    )
    assert outcome.rows.schema == dataset_schema(PROMPTS[name])
    assert (len(outcome.rows), len(outcome.dropped), outcome.rows_in) == (0, 0, 0)


def test_a_field_may_not_hide_a_column() -> None:
    with pytest.raises(PromptError, match=r"prompt text_to_persona: .* column persona of its own"):
        dataset_schema(PROMPTS["text_to_persona"])
