"""A task chooses its personas by the columns of the hub, by words and by meaning."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.project import UNIQUENESS
from persona_assets.settings import Task
from persona_assets.steps.choice import choose_personas, cosines_to
from persona_assets.steps.hub import EMBEDDINGS, HUB
from persona_assets.storage.step_result import typed_frame

ROWS = [
    # persona_id, persona, relation, hop, licence, source, language, vector
    ("1", "A maths teacher in a village school", "reads", 0, "CC0-1.0", "web/a", "en", [1.0, 0.0]),
    ("2", "A statistician at a port", "younger brother", 1, "CC-BY-4.0", "web/b", "en", [0.8, 0.6]),
    ("3", "A nurse on night shifts", "patient", 1, "CC0-1.0", "book/c", "de-AT", [0.0, 1.0]),
    ("4", "一位教数学的退休教师", "elder brother", 2, "CC0-1.0", "book/d", "zh-Hant", [0.6, 0.8]),
    ("5", "A nurse who teaches statistics", "reads", 0, "unknown", "web/e", "und", [-1.0, 0.0]),
]
NAMES = ("persona_id", "persona", "relation", "hop", "licence", "source", "language", "vector")
TABLE = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
HUB_ROWS = typed_frame([{key: row.get(key) for key in HUB} for row in TABLE], HUB)
VECTORS = typed_frame([{key: row.get(key) for key in EMBEDDINGS} for row in TABLE], EMBEDDINGS)
COSINES = cosines_to(VECTORS, np.array([1.0, 0.0], np.float32))


@pytest.mark.parametrize(
    ("chosen", "told", "settings"),
    [
        ("12345", "", {}),
        ("15", "hop 0", {"hops": [0]}),
        ("1235", "hops 0, 1", {"hops": "[0, 1]"}),
        ("", "hop none", {"hops": []}),
        ("24", "relation Brother", {"relations": ["Brother"]}),
        ("2", "relation younger brother", {"relations": ["younger brother"]}),
        ("1235", "relations", {"relations": ["reads", "patient", "younger"]}),
        ("12", "language en", {"languages": "en"}),
        ("34", "languages de, zh", {"languages": "de,zh"}),
        ("", "language de-CH", {"languages": ["de-CH"]}),
        ("134", "licence CC0*", {"licences": ["CC0*"]}),
        ("125", "source web/*", {"sources": ["web/*"]}),
        ("35", "words 'nurse'", {"words": "nurse"}),
        ("12", "words", {"words": "Teacher MATHS | statistician"}),
        ("4", "words '数学'", {"words": "数学"}),
        ("1", "words", {"words": "nurse maths|village"}),
        ("12", "like 'maths' above 0.7", {"like": "maths", "similarity": 0.7}),
        ("124", "the 3 nearest", {"like": "maths", "nearest": 3}),
        ("1", "above 0.7, the 1 nearest", {"like": "maths", "nearest": 1, "similarity": 0.7}),
        ("5", "words 'nurse', like", {"words": "nurse", "like": "x", "nearest": 1, "hops": [0]}),
    ],
)
def test_choice_meets_all_settings(chosen: str, told: str, settings: dict[str, object]) -> None:
    task = Task.model_validate(settings)
    choice = choose_personas(HUB_ROWS, task, COSINES)
    assert "".join(choice.personas["persona_id"]) == chosen
    assert choice.told.startswith(f"{len(chosen)} of 5 personas")
    assert told in choice.told


@given(st.permutations(range(5)), st.integers(1, 5))
def test_choice_by_meaning_ignores_the_order_of_rows(order: list[int], nearest: int) -> None:
    task = Task(like="maths", nearest=nearest)
    shuffled = choose_personas(HUB_ROWS[order], task, cosines_to(VECTORS[order], np.array([1, 0])))
    in_order = choose_personas(HUB_ROWS, task, COSINES)
    assert set(shuffled.personas["persona_id"]) == set(in_order.personas["persona_id"])


def test_persona_without_a_vector_is_like_nothing() -> None:
    cosines = cosines_to(VECTORS[:2], np.array([1.0, 0.0]))
    choice = choose_personas(HUB_ROWS, Task(like="maths", similarity=0.1), cosines)
    assert "".join(choice.personas["persona_id"]) == "12"


def test_choice_in_an_empty_hub_is_empty() -> None:
    task = Task(like="maths", nearest=3, words="nurse", hops=(1,))
    assert choose_personas(HUB_ROWS[:0], task, COSINES).told.startswith("0 of 0 personas: hop 1")


def test_unset_choice_is_not_written_into_the_code_version() -> None:
    old = (
        '{"mode":"zero-shot","shots":0,"variables":{},"share":1.0,"per_shard":null,"per_persona":1}'
    )
    assert Task().model_dump_json(exclude=UNIQUENESS) == old
    assert Task(hops=(0,)).model_dump_json(exclude=UNIQUENESS) == old[:-1] + ',"hops":[0]}'


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"nearest": 3}, "set LIKE"),
        ({"like": "maths"}, "SIMILARITY"),
        ({"like": "maths", "similarity": 2}, "similarity"),
        ({"language": "klingon"}, "tag of no known language"),
        ({"hops": "one"}, "hops"),
    ],
)
def test_impossible_choice_is_an_error(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Task.model_validate(settings)


def test_choice_by_meaning_needs_vectors() -> None:
    with pytest.raises(ValueError, match="cosines"):
        choose_personas(pl.DataFrame(HUB_ROWS), Task(like="maths", nearest=1))
