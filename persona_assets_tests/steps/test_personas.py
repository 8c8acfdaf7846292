from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation import Request
from persona_assets.ids import persona_id, text_id
from persona_assets.steps import corpus
from persona_assets.steps.personas import TEXT_PERSONAS, build_text_personas
from persona_assets.storage.step_result import QUARANTINE_SCHEMA, StepResult, typed_frame
from persona_assets_tests.steps.answers_double import (
    FAILURES,
    Answering,
    Reply,
    answering,
    prompt,
    user_text,
)

PERSPECTIVES = ("reads", "writes", "likes", "dislikes")
TRADES = ["weaver", "notary", "welder", "midwife", "baker", "surgeon", "diver", "clerk"]
KINDS = ["ok", "same", "copied", *FAILURES]


def persona(name: str) -> str:
    return f"A careful {name} who mends old clocks at night"


def texts(*contents: str) -> pl.DataFrame:
    rows = [
        {"text_id": text_id("s", "web", text), "text": text, "licence": f"licence {number}"}
        for number, text in enumerate(contents)
    ]
    return typed_frame(rows, corpus.SCHEMA)


def from_texts(rows: pl.DataFrame, model: Answering, **given: Any) -> StepResult:
    ways: dict[str, Any] = {"perspectives": PERSPECTIVES, "per_text": 1, "max_chars": 100} | given
    return build_text_personas(rows, prompt("text_to_persona", "few-shot", 2), model, **ways)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(KINDS), max_size=6), st.integers(1, 4))
def test_every_question_about_a_text_ends_as_a_row_or_a_drop(
    kinds: Sequence[str], per_text: int
) -> None:
    rows = texts(*(f"text number {n} is {kind}" for n, kind in enumerate(kinds)))

    def reply(request: Request) -> Reply:
        text, _, question = user_text(request).partition("</text>")
        kind = text.split()[-1]
        who = {"ok": persona(text + question), "same": persona("baker")}
        return {"persona": who[kind]} if kind in who else kind

    outcome = from_texts(rows, answering(reply), per_text=per_text)
    assert outcome.rows_in == len(kinds) * per_text
    assert outcome.rows.schema == TEXT_PERSONAS
    assert outcome.dropped.schema == QUARANTINE_SCHEMA
    assert len(outcome.rows) == per_text * sum(kind in ("ok", "same") for kind in kinds)
    assert outcome.rows["persona_id"].is_unique().all()
    failed = [
        it for it, kind in zip(rows["text_id"], kinds, strict=True) if kind not in ("ok", "same")
    ]
    assert sorted(outcome.dropped["id"]) == sorted(failed * per_text)
    again = from_texts(rows, answering(reply), per_text=per_text)
    assert again.rows.equals(outcome.rows)


def test_perspectives_are_drawn_by_the_text_alone() -> None:
    rows = texts(*(f"Text {n}" for n in range(200)))
    model = answering(lambda request: {"persona": persona(user_text(request))})
    one = from_texts(rows, model)
    drawn = dict(one.rows.select("parent_id", "perspective").iter_rows())
    assert set(drawn.values()) == set(PERSPECTIVES)
    backwards = from_texts(rows.reverse(), model)
    assert dict(backwards.rows.select("parent_id", "perspective").iter_rows()) == drawn
    two = from_texts(rows, model, per_text=2).rows.group_by("parent_id").agg("perspective")
    for parent, both in two.iter_rows():
        assert drawn[parent] in both
        assert len(set(both)) == 2
    every = from_texts(rows, model, per_text=9)
    assert len(every.rows) == 4 * len(rows)


def test_a_row_has_its_parent_s_id_and_licence_and_shows_the_head_of_the_text() -> None:
    rows = texts("x" * 60 + "never shown")
    model = answering(lambda _: {"persona": persona("baker")})
    row = from_texts(rows, model, perspectives=("writes",), max_chars=60).rows.row(0, named=True)
    assert row["parent_id"] == rows["text_id"][0]
    assert row["persona_id"] == persona_id(row["parent_id"], "writes", row["persona"])
    assert (row["licence"], row["perspective"]) == ("licence 0", "writes")
    assert "x" * 60 in user_text(model.asked[0])
    assert "never shown" not in user_text(model.asked[0])
    assert "likely to write this text" in user_text(model.asked[0])


def test_a_persona_repeated_for_one_text_is_dropped() -> None:
    model = answering(lambda _: {"persona": persona("baker")})
    outcome = from_texts(texts("one"), model, perspectives=("reads", "reads"), per_text=2)
    assert len(outcome.rows) == 1
    assert outcome.dropped.rows() == [(outcome.rows["persona_id"][0], "text_personas", "repeat")]


def test_no_texts_give_no_personas_and_no_calls() -> None:
    model = answering(lambda _: "error")
    outcome = from_texts(texts(), model)
    assert (outcome.rows.schema, len(outcome.rows), len(outcome.dropped)) == (TEXT_PERSONAS, 0, 0)
    assert model.asked == []
