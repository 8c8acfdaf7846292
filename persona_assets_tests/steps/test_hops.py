from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
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


def persona(name: str) -> str:
    return f"A careful {name} who mends old clocks at night"


def first(*personas: str) -> pl.DataFrame:
    """A table of text personas, the n-th of text n."""
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


def expand(
    earlier: list[pl.DataFrame], model: Answering, relations: int = 2, limit: int | None = None
) -> StepResult:
    asked = prompt("persona_to_persona", "persona-few-shot", 2)
    number = len(earlier)
    return build_hop_personas(
        earlier, asked, model, number=number, relations=relations, limit=limit
    )


def related(*names: str) -> dict[str, Any]:
    return {"related": [{"relation": f"{n}'s aunt", "persona": persona(n)} for n in names]}


def expanded(model: Answering) -> list[str]:
    """The personas that the model was asked about."""
    return [user_text(request).splitlines()[0].removeprefix("Person: ") for request in model.asked]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(KINDS), max_size=6), st.integers(1, 3))
def test_every_answer_of_a_hop_is_accounted_for(kinds: Sequence[str], relations: int) -> None:
    known = first(*(persona(f"{TRADES[n]} {kind}") for n, kind in enumerate(kinds)))

    def reply(request: Request) -> Reply:
        kind = user_text(request).split()[4]
        names = {"ok": ["aunt", "uncle", "rival"], "same": ["aunt", "aunt"]}
        return related(*names[kind]) if kind in names else kind

    model = answering(reply)
    outcome = expand([known], model, relations)
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
    assert sorted(expanded(model)) == sorted(known["persona"])


def test_a_related_persona_has_its_relation_parent_hop_and_licence() -> None:
    known = first(persona("baker"))
    earlier = [known, *[typed_frame([], HOP)] * 2]
    model = answering(lambda _: related("rival"))
    assert len(expand(earlier, model).rows) == 0
    row = expand([known], model).rows.row(0, named=True)
    assert row["parent_id"] == known["persona_id"][0]
    assert (row["relation"], row["persona"], row["hop"]) == ("rival's aunt", persona("rival"), 1)
    assert row["persona_id"] == persona_id(row["parent_id"], row["relation"], row["persona"])
    assert row["licence"] == "licence 0"
    assert "Name 2 people" in user_text(model.asked[0])


def test_at_most_the_limit_is_expanded_and_always_the_same_personas() -> None:
    known = first(*(persona(trade) for trade in TRADES))
    ranked = sorted(known["persona_id"], key=lambda it: uniform("frontier", it))
    for limit in (0, 1, 3, 99, None):
        model = answering(lambda _: related("rival"))
        expand([known.reverse() if limit == 3 else known], model, limit=limit)
        by_text = dict(known.select("persona", "persona_id").iter_rows())
        assert [by_text[text] for text in expanded(model)] == ranked[:limit]


def test_a_persona_with_the_words_of_an_earlier_one_is_never_expanded() -> None:
    one, two = persona("baker"), persona("diver")
    shuffled = " ".join(reversed(one.split())).upper()
    texts_of_shard = first(one, shuffled, two)
    model = answering(lambda _: related("baker", "clerk"))
    hop_1 = expand([texts_of_shard], model).rows
    assert sorted(expanded(model)) == sorted([one, two])
    # The next round meets the baker again, and the clerk twice.
    model = answering(lambda _: related("weaver"))
    expand([texts_of_shard, hop_1], model)
    assert expanded(model) == [persona("clerk")]


def test_a_persona_that_the_quality_filter_rejects_is_never_expanded() -> None:
    poor = ["nurse", "A teacher from Ghana who mends the", "Who would read such a text?"]
    assert all(quality.rejection_reason(text) for text in poor)
    model = answering(lambda _: related("rival"))
    expand([first(*poor, persona("baker"))], model)
    assert expanded(model) == [persona("baker")]


def test_candidates_are_all_personas_with_the_filter_s_verdict() -> None:
    roots = first(persona("baker"), "nurse")
    model = answering(lambda _: related("rival", "clerk"))
    hop_1 = expand([roots], model).rows
    outcome = build_persona_candidates(roots, [hop_1, *[typed_frame([], HOP)] * 5])
    assert outcome.rows.schema == CANDIDATES
    assert outcome.rows_in == len(outcome.rows) == 4
    assert outcome.rows["persona_id"].to_list() == [*roots["persona_id"], *hop_1["persona_id"]]
    assert outcome.rows["hop"].to_list() == [0, 0, 1, 1]
    assert outcome.rows["relation"].to_list()[:2] == ["reads", "reads"]
    assert outcome.rows.select("kept", "reason").rows() == [
        (True, None),
        (False, "too_short"),
        (True, None),
        (True, None),
    ]


def test_no_personas_give_no_candidates() -> None:
    outcome = build_persona_candidates(first(), [typed_frame([], HOP)] * 6)
    assert (outcome.rows.schema, len(outcome.rows), outcome.rows_in) == (CANDIDATES, 0, 0)
