"""Each question about a text becomes a text persona or a drop with its reason (section 2.1)."""

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
KINDS = ["ok", "same", "copied", *FAILURES]
"""Kinds of answers: a new persona, the same persona for all texts, a demonstration, a failure."""

BAKER = {"persona": "A careful baker who mends old clocks at night"}


def texts(*contents: str) -> pl.DataFrame:
    rows = [
        {"text_id": text_id("s", "web", text), "text": text, "licence": f"licence {number}"}
        for number, text in enumerate(contents)
    ]
    return typed_frame(rows, corpus.SCHEMA)


TEXTS = texts(*(f"Text {number}" for number in range(200)))


def personas_of(rows: pl.DataFrame, model: Answering, **changes: Any) -> StepResult:
    arguments: dict[str, Any] = {"perspectives": PERSPECTIVES, "per_text": 1, "max_chars": 100}
    text_to_persona = prompt("text_to_persona", "few-shot", 2)
    return build_text_personas(rows, text_to_persona, model, **arguments | changes)


def repeat_question(request: Request) -> Reply:
    return {"persona": f"A careful {user_text(request)} who mends old clocks at night"}


def perspectives_of(rows: pl.DataFrame, **changes: Any) -> dict[str, list[str]]:
    """Return the perspectives by text."""
    personas = personas_of(rows, answering(repeat_question), **changes).rows
    perspectives = personas.group_by("parent_id").agg("perspective")
    return dict(perspectives.iter_rows())


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(KINDS), max_size=6), st.integers(1, 4))
def test_text_personas_turn_each_question_into_a_row_or_a_drop(
    kinds: Sequence[str], per_text: int
) -> None:
    rows = texts(*(f"text number {n} is {kind}" for n, kind in enumerate(kinds)))

    def reply(request: Request) -> Reply:
        text, _, _ = user_text(request).partition("</text>")
        kind = text.split()[-1]
        return {"ok": repeat_question(request), "same": BAKER}.get(kind, kind)

    outcome = personas_of(rows, answering(reply), per_text=per_text)
    assert outcome.rows_in == len(kinds) * per_text
    assert outcome.rows.schema == TEXT_PERSONAS
    assert outcome.dropped.schema == QUARANTINE_SCHEMA
    assert len(outcome.rows) == per_text * sum(kind in ("ok", "same") for kind in kinds)
    assert outcome.rows["persona_id"].is_unique().all()
    failed = [
        row_id
        for row_id, kind in zip(rows["text_id"], kinds, strict=True)
        if kind not in ("ok", "same")
    ]
    assert sorted(outcome.dropped["id"]) == sorted(failed * per_text)
    assert personas_of(rows, answering(reply), per_text=per_text).rows.equals(outcome.rows)


def test_text_personas_draw_from_all_perspectives() -> None:
    perspectives = perspectives_of(TEXTS)
    assert {len(drawn) for drawn in perspectives.values()} == {1}
    assert {drawn[0] for drawn in perspectives.values()} == set(PERSPECTIVES)


def test_text_personas_draw_the_same_perspectives_in_any_order_of_texts() -> None:
    assert perspectives_of(TEXTS.reverse()) == perspectives_of(TEXTS)


def test_text_personas_keep_a_text_s_perspective_when_more_are_drawn() -> None:
    single = perspectives_of(TEXTS)
    pairs = perspectives_of(TEXTS, per_text=2)
    assert pairs.keys() == single.keys()
    for text, pair in pairs.items():
        assert single[text][0] in pair
        assert len(set(pair)) == 2


def test_text_personas_draw_each_perspective_once_when_more_are_wanted_than_exist() -> None:
    perspectives = perspectives_of(TEXTS, per_text=9)
    assert len(perspectives) == len(TEXTS)
    assert all(sorted(drawn) == sorted(PERSPECTIVES) for drawn in perspectives.values())


def test_text_personas_carry_the_id_and_licence_of_their_text() -> None:
    rows = texts("A letter")
    model = answering(lambda _: BAKER)
    row = personas_of(rows, model, perspectives=("writes",)).rows.row(0, named=True)
    assert row["parent_id"] == rows["text_id"][0]
    assert row["persona_id"] == persona_id(row["parent_id"], "writes", row["persona"])
    assert (row["licence"], row["perspective"]) == ("licence 0", "writes")


def test_text_personas_show_the_model_the_head_of_a_text_and_the_perspective() -> None:
    model = answering(lambda _: BAKER)
    personas_of(texts("x" * 60 + "never shown"), model, perspectives=("writes",), max_chars=60)
    question = user_text(model.asked[0])
    assert "x" * 60 in question
    assert "never shown" not in question
    assert "likely to write this text" in question


def test_text_personas_drop_a_repeated_persona_of_a_text() -> None:
    model = answering(lambda _: BAKER)
    outcome = personas_of(texts("A letter"), model, perspectives=("reads", "reads"), per_text=2)
    assert len(outcome.rows) == 1
    assert outcome.dropped.rows() == [(outcome.rows["persona_id"][0], "text_personas", "repeat")]


def test_text_personas_of_no_texts_are_an_empty_table_without_calls() -> None:
    model = answering(lambda _: "error")
    outcome = personas_of(texts(), model)
    assert (outcome.rows.schema, len(outcome.rows), len(outcome.dropped)) == (TEXT_PERSONAS, 0, 0)
    assert model.asked == []


MILL = {
    "und": "磨坊的钟声在清晨响起，渔夫们把网收进船里。",
    "de": "Die Mühle am Kanal mahlt wieder.",
}
LABELS = ["und", "en", "zh", "de-AT", "tlh"]


def labelled(*pairs: tuple[str, str]) -> pl.DataFrame:
    """Return texts with the labels of their languages."""
    rows = texts(*(text for text, _ in pairs))
    return rows.with_columns(pl.Series("language", [label for _, label in pairs]))


def test_persona_is_asked_for_and_labelled_in_the_language_of_its_text() -> None:
    rows = labelled(*((f"Text {label}", label) for label in LABELS), (MILL["und"], "und"))
    model = answering(lambda request: BAKER)
    personas = personas_of(rows, model).rows
    asked = ["English", "English", "Chinese", "German", "English", "Chinese"]
    systems = [request.messages[0]["content"] for request in model.asked]
    assert [f"one {name} sentence" in system for name, system in zip(asked, systems, strict=True)]
    assert personas["language"].to_list() == ["en", "en", "zh", "de-AT", "en", "zh"]
    assert personas["source"].to_list() == rows["source"].to_list()


def test_english_and_unlabelled_texts_are_asked_as_without_languages() -> None:
    plain, model = answering(repeat_question), answering(repeat_question)
    personas_of(TEXTS, plain, follow=False)
    personas_of(TEXTS.with_columns(language=pl.lit("en")), model)
    assert [request.messages for request in plain.asked] == [
        request.messages for request in model.asked
    ]


def test_table_of_an_earlier_version_keeps_to_english() -> None:
    rows = labelled((MILL["de"], "de"), (MILL["und"], "und"))
    model = answering(lambda request: BAKER)
    personas = personas_of(rows, model, follow=False).rows
    assert personas["language"].to_list() == ["en", "en"]
    assert all("one English sentence" in r.messages[0]["content"] for r in model.asked)
