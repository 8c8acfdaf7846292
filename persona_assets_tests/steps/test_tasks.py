"""A task draws personas by hash; each of its questions becomes a sample or a drop."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation import Request
from persona_assets.ids import content_id, sample_id
from persona_assets.prompting.front_matter import PromptError
from persona_assets.settings import Prompting, Task
from persona_assets.steps.hub import HUB
from persona_assets.steps.origins import origins_of_samples
from persona_assets.steps.tasks import build_samples, dataset_schema, draw_origins
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
        {
            "persona_id": content_id(persona),
            "persona": persona,
            "licence": f"licence of {persona}",
            "hop": 0,
        }
        for persona in personas
    ]
    return typed_frame(rows, HUB)


def drawn(personas: pl.DataFrame, task: Task, name: str = "tools") -> list[str]:
    """Return the ids of the personas that a task draws."""
    return draw_origins(personas, name, task)["persona_id"].to_list()


PERSONAS = hub(*(f"person {number}" for number in range(300)))
shares = st.floats(0, 1)
limits = st.none() | st.integers(0, 40)


@settings(deadline=None, max_examples=50)
@given(st.tuples(shares, shares).map(sorted))
def test_draw_origins_keeps_the_personas_of_a_smaller_share(pair: list[float]) -> None:
    small, large = (drawn(PERSONAS, Task(share=share)) for share in pair)
    assert large[: len(small)] == small


@settings(deadline=None, max_examples=50)
@given(st.tuples(st.integers(0, 300), st.integers(0, 300)).map(sorted))
def test_draw_origins_keeps_the_personas_of_a_smaller_limit(pair: list[int]) -> None:
    small, large = (drawn(PERSONAS, Task(per_shard=limit)) for limit in pair)
    assert len(small) == pair[0]
    assert large[: len(small)] == small


@settings(deadline=None, max_examples=50)
@given(st.permutations(range(len(PERSONAS))), shares, limits)
def test_draw_origins_ignores_the_order_of_rows(
    order: list[int], share: float, per_shard: int | None
) -> None:
    task = Task(share=share, per_shard=per_shard)
    assert draw_origins(PERSONAS[order], "tools", task).equals(
        draw_origins(PERSONAS, "tools", task)
    )


def test_draw_origins_draws_about_the_share() -> None:
    assert len(drawn(PERSONAS, Task())) == 300
    assert len(drawn(PERSONAS, Task(share=0))) == 0
    third = draw_origins(PERSONAS, "tools", Task(share=1 / 3))
    assert 70 < len(third) < 130
    assert third.schema == HUB


def test_stratified_draw_takes_the_same_number_of_each_stratum_while_there_are_enough() -> None:
    hops = [0] * 200 + [1] * 95 + [2] * 5
    personas = PERSONAS.with_columns(hop=pl.Series(hops, dtype=HUB["hop"]))
    task = Task(per_shard=45, stratify=("hop",))
    chosen = draw_origins(personas, "tools", task)
    assert chosen["hop"].value_counts().sort("hop").rows() == [(0, 20), (1, 20), (2, 5)]
    fewer = draw_origins(personas, "tools", task.model_copy(update={"per_shard": 7}))
    assert fewer.equals(chosen.head(7))
    assert Task().model_dump() == Task(stratify=None).model_dump()


def test_draw_origins_draws_other_personas_for_another_task() -> None:
    task = Task(share=1 / 3)
    assert drawn(PERSONAS, task, "tools") != drawn(PERSONAS, task, "instructions")


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from(["ok", "copied", *FAILURES]), max_size=6),
    st.integers(1, 3),
    limits,
)
def test_build_samples_turns_each_question_into_a_row_or_a_drop(
    kinds: list[str], per_persona: int, per_shard: int | None
) -> None:
    personas = hub(*(f"person {number}: {kind}" for number, kind in enumerate(kinds)))
    task = Task(per_persona=per_persona, per_shard=per_shard)

    def reply(request: Request) -> Reply:
        kind = user_text(request).splitlines()[0].split()[-1]
        return TOOL if kind == "ok" else kind

    outcome = build_samples(personas, prompt("tools", "few-shot", 2), task, answering(reply))
    kind_by_sample = {
        sample_id("tools", row["persona_id"], index): row["persona"].split()[-1]
        for row in draw_origins(personas, "tools", task).iter_rows(named=True)
        for index in range(per_persona)
    }
    good = {sample for sample, kind in kind_by_sample.items() if kind == "ok"}
    assert outcome.rows_in == len(kind_by_sample)
    assert set(outcome.rows["sample_id"]) == good
    assert set(outcome.dropped["id"]) == kind_by_sample.keys() - good
    assert outcome.rows.schema == dataset_schema(PROMPTS["tools"])


def test_build_samples_copies_the_fields_of_the_answer_and_of_the_persona() -> None:
    personas = hub("a harbour pilot")
    outcome = build_samples(personas, prompt("tools"), Task(), answering(lambda _: TOOL))
    row = outcome.rows.row(0, named=True)
    assert {name: row[name] for name in TOOL} == TOOL
    assert (row["persona"], row["licence"]) == ("a harbour pilot", "licence of a harbour pilot")
    assert row["persona_id"] == personas["persona_id"][0]


def test_build_samples_asks_again_under_another_index_for_a_second_sample_of_a_persona() -> None:
    model = answering(lambda _: TOOL)
    outcome = build_samples(hub("a harbour pilot"), prompt("tools"), Task(per_persona=2), model)
    assert [request.index for request in model.asked] == [0, 1]
    assert model.asked[0].messages == model.asked[1].messages
    assert outcome.rows["sample_id"].n_unique() == 2


@pytest.mark.parametrize("name", PROMPTS.tasks)
def test_build_samples_of_an_empty_hub_is_an_empty_table_of_the_task_s_fields(name: str) -> None:
    source = PROMPTS.tasks.get(PROMPTS[name].head.source)
    drawn = Task(share=0.5, per_shard=2)
    outcome = build_samples(hub(), prompt(name), drawn, answering(lambda _: "error"), source=source)
    assert outcome.rows.schema == dataset_schema(PROMPTS[name], source)
    assert (len(outcome.rows), len(outcome.dropped), outcome.rows_in) == (0, 0, 0)


def test_step_of_python_without_its_column_is_refused() -> None:
    code = prompt("tool_implementations")
    head = code.head.model_copy(update={"then": ("lint",)})
    assert dataset_schema(replace(code, head=head), PROMPTS["tools"])["lint"]
    with pytest.raises(
        PromptError, match="the step signature in then needs a column function_name"
    ):
        dataset_schema(code)


def test_dataset_schema_refuses_a_field_with_the_name_of_another_column() -> None:
    with pytest.raises(PromptError, match=r"prompt text_to_persona: .* column persona of its own"):
        dataset_schema(PROMPTS["text_to_persona"])


def test_build_samples_drops_and_repairs_by_the_verdict() -> None:
    personas = hub("good", "fenced", "refusing")
    text = "Plan a week of meals for two people who work at night."
    answers = {
        "good": text,
        "fenced": f"```\n{text}\n```",
        "refusing": "I'm sorry, but I can't assist with that request.",
    }

    def reply(request: Request) -> Reply:
        return {"instruction": answers[user_text(request).splitlines()[0].split()[-1]]}

    outcome = build_samples(personas, prompt("instructions"), Task(), answering(reply))
    published = {row["persona"]: row for row in outcome.rows.iter_rows(named=True)}
    assert {name: row["instruction"] for name, row in published.items()} == {
        "good": text,
        "fenced": text,
    }
    assert (published["good"]["repairs"], published["fenced"]["repairs"]) == ([], ["fence"])
    assert outcome.dropped["reason"].to_list() == ["refusal"]
    assert outcome.repairs == {"fence": 1}


QUESTION = "My oven runs hot at the back; how should I turn the loaves through the bake?"
CHINESE_QUESTION = "我的烤箱后面温度太高，烤面包的时候应该怎样转动面包才能烤得均匀？"


@pytest.mark.parametrize(
    ("language", "answer", "published"),
    [
        ("en", QUESTION, "en"),
        ("zh", CHINESE_QUESTION, "zh"),
        ("zh-Hant", CHINESE_QUESTION, "zh-Hant"),
        (None, QUESTION, "en"),
        ("en", CHINESE_QUESTION, "wrong_language"),
        ("zh", QUESTION, "wrong_language: en"),
    ],
)
def test_sample_has_the_language_of_its_persona_or_is_dropped(
    language: str | None, answer: str, published: str
) -> None:
    personas = hub("a").with_columns(language=pl.lit(language, pl.String()))
    model = answering(lambda request: {"instruction": answer})
    result = build_samples(personas, prompt("instructions"), Task(), model)
    assert user_text(model.asked[0]).endswith("Write in Chinese.") == (language == "zh") or (
        language == "zh-Hant"
    )
    said = [*result.rows["language"], *result.dropped["reason"]]
    assert said[0].startswith(published)


ITALIAN = "La tariffa del parcheggio cambia da domani, e i residenti pagano la metà del prezzo."


@pytest.mark.parametrize(
    ("instruction", "reply", "published"),
    [
        ("Translate into Chinese how I should turn the loaves.", CHINESE_QUESTION, "zh"),
        ("How do I write to my landlord in Italian that the fee changes?", ITALIAN, "it"),
        ("How do I write to my landlord that the fee changes?", ITALIAN, "wrong_language: it"),
        ("How should I turn the loaves?", CHINESE_QUESTION, "wrong_language"),
    ],
)
def test_reply_may_be_in_the_language_that_its_instruction_names(
    instruction: str, reply: str, published: str
) -> None:
    asked = typed_frame(
        [
            {
                **{"sample_id": "1", "persona_id": "p", "persona": "A baker", "licence": "CC0-1.0"},
                **{"language": "en", "instruction": instruction},
            }
        ],
        dataset_schema(PROMPTS["instructions"]),
    )
    source = PROMPTS["instructions"]
    result = build_samples(
        origins_of_samples(asked, source),
        prompt("replies"),
        Task(),
        answering(lambda request: {"reply": reply}),
        source=source,
    )
    assert [*result.rows["language"], *result.dropped["reason"]][0].startswith(published)


def test_message_that_repeats_an_earlier_message_ends_its_conversation() -> None:
    model = answering(lambda request: {"message": QUESTION})
    result = build_samples(hub("a"), prompt("conversations"), Task(), model)
    assert result.dropped["reason"].to_list() == ["turn_2_copied_source"]


def test_language_of_a_prompt_in_another_script_is_detected() -> None:
    riddles = PROMPTS["logic_problems"].bind(Prompting(variables={"style": "ruozhiba"}), "s")
    model = answering(lambda request: {"problem": "既然时间就是金钱，那么我迟到是不是在抢银行？"})
    result = build_samples(hub("a"), riddles, Task(), model)
    assert result.rows["language"].to_list() == ["zh"]
    assert "Write in" not in user_text(model.asked[0])


def test_longest_text_of_an_answer_tells_its_language() -> None:
    tool = {
        **TOOL,
        "description": "告诉渔夫码头什么时候涨潮，以及今天的潮水会有多高。",
        "return": "时间表",
    }
    personas = hub("a").with_columns(language=pl.lit("zh"))
    result = build_samples(personas, prompt("tools"), Task(), answering(lambda request: tool))
    assert result.rows["language"].to_list() == ["zh"]


def test_field_named_language_keeps_its_place() -> None:
    instructions = prompt("instructions")
    output = {**instructions.head.output, "language": {"type": "string"}}
    head = instructions.head.model_copy(update={"output": output})
    schema = dataset_schema(replace(instructions, head=head))
    assert schema.names().count("language") == 1
    assert list(schema.names()).index("language") < list(schema.names()).index("licence")
