"""A target decides how many personas are expanded per text; a larger one expands a superset."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.ids import content_id, persona_id
from persona_assets.steps.hop_budget import HOPS, Share, expansions, shard_share
from persona_assets.steps.personas import HOP, TEXT_PERSONAS, build_hop_personas
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import answering, prompt, user_text

RELATIONS = 3


def described(*seed: str) -> str:
    """Return a persona with words of its own."""
    letters = content_id(*seed).translate(str.maketrans("0123456789", "ghijklmnop"))
    place, thing, town = letters[:6], letters[6:12], letters[12:18]
    return f"A keeper of the {place} archive who repairs {thing} clocks in {town}"


def text_personas(texts: int) -> pl.DataFrame:
    rows = [
        {
            "persona_id": persona_id(f"text {number}", "reads", described("root", str(number))),
            "parent_id": f"text {number}",
            "persona": described("root", str(number)),
            "perspective": "reads",
            "licence": "CC0",
        }
        for number in range(texts)
    ]
    return typed_frame(rows, TEXT_PERSONAS)


def expand_shard(
    texts: int, target: float | None, novelty: float | None = None
) -> tuple[list[pl.DataFrame], list[int]]:
    """Return the tables of a shard, and the number of expansions in each hop."""

    def reply(request: object) -> dict[str, object]:
        asked = user_text(request)  # type: ignore[arg-type]
        return {
            "related": [
                {"relation": f"relation {n}", "persona": described(asked, str(n))}
                for n in range(RELATIONS)
            ]
        }

    tables, counts = [text_personas(texts)], []
    for number in range(1, HOPS + 1):
        model = answering(reply)
        result = build_hop_personas(
            tables,
            prompt("persona_to_persona", "zero-shot", 0),
            model,
            number=number,
            relations=RELATIONS,
            limit=None,
            target=target,
            novelty=novelty,
        )
        tables.append(result.rows)
        counts.append(len(model.asked))
    return tables, counts


def test_shard_reaches_its_target() -> None:
    tables, counts = expand_shard(texts=10, target=190)
    assert counts == [10] * HOPS
    assert sum(map(len, tables)) == 190


def test_target_is_never_exceeded_by_more_than_an_expansion_per_hop() -> None:
    for target in range(0, 200, 7):
        tables, _ = expand_shard(texts=7, target=target)
        assert sum(map(len, tables)) <= max(7, target) + HOPS * RELATIONS


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.floats(0, 120), st.floats(0, 120))
def test_larger_target_expands_a_superset(texts: int, one: float, other: float) -> None:
    small, _ = expand_shard(texts, min(one, other))
    large, _ = expand_shard(texts, max(one, other))
    for fewer, more in zip(small, large, strict=True):
        assert set(fewer["persona_id"]) <= set(more["persona_id"])


def test_texts_share_the_expansions_of_a_hop() -> None:
    tables, counts = expand_shard(texts=4, target=4 + RELATIONS * 6)
    assert counts == [4, 2, 0, 0, 0, 0]
    assert tables[2]["parent_id"].n_unique() == 2


def test_without_a_target_every_new_persona_is_expanded() -> None:
    _, counts = expand_shard(texts=1, target=None)
    assert counts == [RELATIONS**hop for hop in range(HOPS)]


def test_branch_without_new_personas_ends() -> None:
    def reply(request: object) -> dict[str, object]:
        # The first persona's relations are those of the second.
        return {"related": [{"relation": f"r{n}", "persona": described(str(n))} for n in range(3)]}

    roots = text_personas(2)
    asked = []
    for novelty in (None, 0.5):
        first = build_hop_personas(
            [roots],
            prompt("persona_to_persona", "zero-shot", 0),
            answering(reply),
            number=1,
            relations=RELATIONS,
            limit=None,
            novelty=novelty,
        )
        model = answering(reply)
        # One branch brings three new personas, the other repeats them with a single new one.
        rows = first.rows.with_columns(
            persona=pl.when(pl.int_range(pl.len()) == 5)
            .then(pl.lit("A ferryman of the northern lakes who collects rain records"))
            .otherwise("persona")
        )
        build_hop_personas(
            [roots, rows],
            prompt("persona_to_persona", "zero-shot", 0),
            model,
            number=2,
            relations=RELATIONS,
            limit=None,
            novelty=novelty,
        )
        asked.append(len(model.asked))
    assert asked == [4, 3]
    assert rows.schema == HOP


@given(
    st.floats(0, 1e6),
    st.floats(0, 50),
    st.integers(1, 8),
)
def test_expansions_add_up_to_the_target(target: float, roots: float, relations: int) -> None:
    dealt = [expansions(target, roots, relations, hop) for hop in range(1, HOPS + 1)]
    assert dealt == sorted(dealt, reverse=True)
    assert dealt[0] - dealt[-1] <= 1
    assert abs(sum(dealt) * relations - max(0.0, target - roots)) <= 1e-6 * (1 + target)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, dict[str, int]]]:
    """Draw targets that never fall, over corpora that gain shards."""
    targets = sorted(draw(st.lists(st.integers(0, 10_000), min_size=1, max_size=5)))
    sizes: dict[str, int] = {}
    history = []
    for target in targets:
        for _ in range(draw(st.integers(0 if sizes else 1, 3))):
            sizes[f"shard {len(sizes)}"] = draw(st.integers(1, 1_000))
        history.append((target, dict(sizes)))
    return history


@given(histories())
def test_parts_never_exceed_the_target_and_never_shrink(
    history: list[tuple[int, dict[str, int]]],
) -> None:
    decided: dict[str, Share] = {}
    for target, sizes in history:
        before = dict(decided)
        for shard in sizes:
            decided[shard] = shard_share(target, shard, sizes, decided)
        assert sum(share.personas for share in decided.values()) <= target * (1 + 1e-9) + 1e-6
        for shard, share in before.items():
            assert decided[shard].personas >= share.personas - 1e-6
        again = {shard: shard_share(target, shard, sizes, decided) for shard in sizes}
        assert again == decided


def test_smaller_target_decides_anew() -> None:
    sizes = {"a": 10, "b": 10}
    decided = {"a": Share(100, 50.0), "b": Share(100, 50.0)}
    assert shard_share(40, "a", sizes, decided) == Share(40, 20.0)


def test_shard_without_a_file_gets_nothing() -> None:
    assert shard_share(40, "gone", {"a": 10}, {}) == Share(40, 0.0)
    assert shard_share(40, "empty", {"empty": 0}, {}) == Share(40, 0.0)


def test_parts_stay_below_the_target_where_files_change_their_size() -> None:
    decided = {"a": Share(1_000, 500.0), "b": Share(1_000, 500.0)}
    decided["a"] = shard_share(2_000, "a", {"a": 90, "b": 10}, decided)
    decided["b"] = shard_share(2_000, "b", {"a": 90, "b": 910}, decided)
    assert sum(share.personas for share in decided.values()) <= 2_000
