"""A hop asks each new persona for related personas; candidates are all personas (section 2.2)."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from persona_assets.generation import Request
from persona_assets.ids import persona_id, uniform
from persona_assets.steps import quality
from persona_assets.steps.personas import (
    CANDIDATES,
    HOP,
    TEXT_PERSONAS,
    build_hop_personas,
    build_persona_candidates,
)
from persona_assets.storage.step_result import StepResult, typed_frame
from persona_assets_tests.steps.answers_double import (
    FAILURES,
    Answering,
    Reply,
    answering,
    prompt,
    user_text,
)

TRADES = ["weaver", "notary", "welder", "midwife", "baker", "surgeon", "diver", "clerk"]
KINDS = ["ok", "same", "copied", *FAILURES]
"""Kinds of answers: three personas, the same persona twice, a demonstration, a failure."""

RELATIVES = {"ok": ["aunt", "uncle", "rival"], "same": ["aunt", "aunt"]}
"""Personas of an answer by its kind."""


def persona(name: str) -> str:
    return f"A careful {name} who mends old clocks at night"


def text_personas(*personas: str) -> pl.DataFrame:
    """Return a table of text personas, the n-th of text n."""
    rows = [
        {
            "persona_id": persona_id(str(number), "reads", text),
            "parent_id": str(number),
            "persona": text,
            "perspective": "reads",
            "licence": f"licence {number}",
        }
        for number, text in enumerate(personas)
    ]
    return typed_frame(rows, TEXT_PERSONAS)


NO_HOP = typed_frame([], HOP)
TRADESPEOPLE = text_personas(*(persona(trade) for trade in TRADES))


def expand(
    earlier: list[pl.DataFrame], model: Answering, relations: int = 2, limit: int | None = None
) -> StepResult:
    return build_hop_personas(
        earlier,
        prompt("persona_to_persona", "persona-few-shot", 2),
        model,
        number=len(earlier),
        relations=relations,
        limit=limit,
    )


def related(*names: str) -> dict[str, Any]:
    return {"related": [{"relation": f"{n}'s aunt", "persona": persona(n)} for n in names]}


def expanded(model: Answering) -> list[str]:
    """Return the personas in the model's requests."""
    return [user_text(request).splitlines()[0].removeprefix("Person: ") for request in model.asked]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(KINDS), max_size=6), st.integers(1, 3))
def test_hop_turns_each_related_persona_into_a_row_or_a_drop(
    kinds: Sequence[str], relations: int
) -> None:
    personas = text_personas(*(persona(f"{TRADES[n]} {kind}") for n, kind in enumerate(kinds)))

    def reply(request: Request) -> Reply:
        kind = user_text(request).split()[4]
        return related(*RELATIVES[kind]) if kind in RELATIVES else kind

    model = answering(reply)
    outcome = expand([personas], model, relations)
    answered = 3 * kinds.count("ok") + 2 * kinds.count("same")
    failed = len(kinds) - kinds.count("ok") - kinds.count("same")
    assert len(outcome.rows) + len(outcome.dropped) == answered + failed
    assert outcome.rows.schema == HOP
    assert outcome.rows["persona_id"].is_unique().all()
    assert outcome.rows.group_by("parent_id").len()["len"].max() in (None, *range(1, relations + 1))
    reasons = outcome.reasons()
    assert reasons.get("over_limit", 0) == (
        max(3 - relations, 0) * kinds.count("ok") + max(2 - relations, 0) * kinds.count("same")
    )
    assert reasons.get("repeat", 0) == (kinds.count("same") if relations > 1 else 0)
    assert sorted(expanded(model)) == sorted(personas["persona"])


def test_hop_persona_carries_its_relation_parent_hop_and_licence() -> None:
    personas = text_personas(persona("baker"))
    row = expand([personas], answering(lambda _: related("rival"))).rows.row(0, named=True)
    assert row["parent_id"] == personas["persona_id"][0]
    assert (row["relation"], row["persona"], row["hop"]) == ("rival's aunt", persona("rival"), 1)
    assert row["persona_id"] == persona_id(row["parent_id"], row["relation"], row["persona"])
    assert row["licence"] == "licence 0"


def test_hop_asks_for_the_number_of_relations() -> None:
    model = answering(lambda _: related("rival"))
    expand([text_personas(persona("baker"))], model, relations=2)
    assert "Name 2 people" in user_text(model.asked[0])


def test_hop_expands_the_last_round_alone() -> None:
    model = answering(lambda _: related("rival"))
    outcome = expand([text_personas(persona("baker")), NO_HOP, NO_HOP], model)
    assert (len(outcome.rows), model.asked) == (0, [])


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(len(TRADES))), st.none() | st.integers(0, len(TRADES)))
@example(range(len(TRADES)), 99)
def test_hop_expands_the_same_personas_up_to_the_limit_in_any_order_of_rows(
    order: Sequence[int], limit: int | None
) -> None:
    model = answering(lambda _: related("rival"))
    expand([TRADESPEOPLE[order]], model, limit=limit)
    ranked = sorted(TRADESPEOPLE["persona"], key=lambda text: uniform("frontier", text))
    assert expanded(model) == ranked[:limit]


def test_hop_never_expands_a_persona_with_the_words_of_an_earlier_persona() -> None:
    baker, diver = persona("baker"), persona("diver")
    shuffled_baker = " ".join(reversed(baker.split())).upper()
    personas = text_personas(baker, shuffled_baker, diver)
    model = answering(lambda _: related("baker", "clerk"))
    hop_1 = expand([personas], model).rows
    assert sorted(expanded(model)) == sorted([baker, diver])
    # Hop 1 contains the baker of the texts, and the clerk twice.
    model = answering(lambda _: related("weaver"))
    expand([personas, hop_1], model)
    assert expanded(model) == [persona("clerk")]


def test_hop_never_expands_a_persona_that_the_quality_filter_rejects() -> None:
    poor = ["nurse", "A teacher from Ghana who mends the", "Who would read such a text?"]
    assert all(quality.rejection_reason(text) for text in poor)
    model = answering(lambda _: related("rival"))
    expand([text_personas(*poor, persona("baker"))], model)
    assert expanded(model) == [persona("baker")]


def test_persona_candidates_are_all_personas_with_the_verdict_of_the_quality_filter() -> None:
    personas = text_personas(persona("baker"), "nurse")
    hop_1 = expand([personas], answering(lambda _: related("rival", "clerk"))).rows
    outcome = build_persona_candidates(personas, [hop_1, *[NO_HOP] * 5])
    assert outcome.rows.schema == CANDIDATES
    assert outcome.rows_in == len(outcome.rows) == 4
    assert outcome.rows["persona_id"].to_list() == [*personas["persona_id"], *hop_1["persona_id"]]
    assert outcome.rows["hop"].to_list() == [0, 0, 1, 1]
    assert outcome.rows["relation"].to_list()[:2] == ["reads", "reads"]
    assert outcome.rows.select("kept", "reason").rows() == [
        (True, None),
        (False, "too_short"),
        (True, None),
        (True, None),
    ]


def test_persona_candidates_of_no_personas_are_an_empty_table() -> None:
    outcome = build_persona_candidates(text_personas(), [NO_HOP] * 6)
    assert (outcome.rows.schema, len(outcome.rows), outcome.rows_in) == (CANDIDATES, 0, 0)


def test_hop_drops_a_related_persona_with_personal_data_in_its_text_or_relation() -> None:
    leaky = "A careful clerk from Porto who answers at jo.haas@posteo.de on weekdays"
    answer = {
        "related": [
            {"relation": "rival", "persona": leaky},
            {"relation": "aunt at +49 151 23456789", "persona": persona("aunt")},
            {"relation": "uncle", "persona": persona("uncle")},
        ]
    }
    outcome = expand([text_personas(persona("baker"))], answering(lambda _: answer), relations=3)
    assert outcome.rows["relation"].to_list() == ["uncle"]
    reasons = outcome.dropped["reason"].to_list()
    assert reasons == ["personal_data:email", "personal_data:phone"]


CHINESE = "一位住在河边的退休木匠，每天清晨修理旧钟。"


def test_related_personas_inherit_language_and_source() -> None:
    parents = TRADESPEOPLE.with_columns(
        language=pl.Series(["zh", "en", None, "de"] * 2), source=pl.lit("web/a")
    )
    model = answering(lambda request: {"related": [{"relation": "aunt", "persona": persona("a")}]})
    hop = expand([parents], model).rows
    languages = {
        text: {"zh": "Chinese", "de": "German"}.get(language, "English")
        for text, language in parents.select("persona", "language").iter_rows()
    }
    for request in model.asked:
        text = user_text(request).split("\n")[0].removeprefix("Person: ")
        assert f"one {languages[text]} sentence" in request.messages[0]["content"]
    assert sorted(hop["language"]) == ["de", "de", "en", "en", "en", "en", "zh", "zh"]
    assert set(hop["source"]) == {"web/a"}


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        (persona("baker"), "en", None),
        (CHINESE, "zh", None),
        (CHINESE, "zh-Hant", None),
        (CHINESE, "en", "wrong_language: zh 1.00"),
        (persona("baker"), "zh", "wrong_language: en 1.00"),
        (CHINESE, None, None),
        (CHINESE, "und", None),
    ],
)
def test_candidate_in_another_language_is_rejected(
    text: str, language: str | None, reason: str | None
) -> None:
    rows = text_personas(text).with_columns(language=pl.lit(language, pl.String()))
    [row] = build_persona_candidates(rows, [NO_HOP] * 6).rows.to_dicts()
    assert row["kept"] == (reason is None)
    assert (row["reason"] or "").startswith(reason or "")
    assert row["language"] == language
