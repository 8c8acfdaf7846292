from collections.abc import Sequence
from statistics import fmean

from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.ids import content_id, persona_id, sample_id, solution_id, text_id, uniform

# Whatever a str can hold, lone surrogates included.
texts = st.text(alphabet=st.characters(exclude_categories=()), max_size=6)
parts = st.lists(texts, max_size=4)


@settings(deadline=None)
@given(parts, parts)
def test_equal_ids_come_from_equal_parts_alone(one: Sequence[str], other: Sequence[str]) -> None:
    assert (content_id(*one) == content_id(*other)) == (one == other)


def test_where_one_part_ends_counts() -> None:
    assert len({content_id("ab", "c"), content_id("a", "bc"), content_id("abc")}) == 3


def test_ids_stay_what_they_were() -> None:
    # A change of these orphans every table and every completion that was paid for.
    # blake2b("", 16 bytes), of no part at all.
    assert content_id() == "cae66941d9efbd404e4d88758ea67670"
    assert text_id("a.jsonl", "web", "Some text.") == "4df7886e83de6a486d71268112a1f8f2"
    assert uniform("held_out", "1") == 0.08011409830449812


@settings(deadline=None)
@given(st.lists(texts, min_size=3, max_size=3), st.integers(0, 2), texts)
def test_every_part_of_a_row_is_in_its_id(row: list[str], place: int, other: str) -> None:
    changed = [*row[:place], other, *row[place + 1 :]]
    for make in (text_id, persona_id):
        assert (make(*row) == make(*changed)) == (row == changed)


def test_kinds_of_rows_never_share_an_id() -> None:
    made = [
        content_id("a", "b", "1"),
        text_id("a", "b", "1"),
        persona_id("a", "b", "1"),
        sample_id("a", "b", 1),
        solution_id("a", "b"),
        content_id("a", "b"),
    ]
    assert len(set(made)) == len(made)
    assert {len(it) for it in made} == {32}


def test_samples_of_one_persona_differ() -> None:
    assert len({sample_id("tools", "p", index) for index in range(50)}) == 50


@settings(deadline=None)
@given(parts)
def test_a_draw_is_in_the_unit_interval_and_repeatable(row: Sequence[str]) -> None:
    assert 0 <= uniform(*row) < 1
    assert uniform(*row) == uniform(*row)


def test_draws_are_spread_evenly() -> None:
    drawn = [uniform("task", str(number)) for number in range(4000)]
    assert len(set(drawn)) == 4000
    assert abs(fmean(drawn) - 0.5) < 0.02
    assert all(340 < sum(tenth <= 10 * x < tenth + 1 for x in drawn) < 460 for tenth in range(10))
