"""A view holds the rows that pass query and filters, each once over all pages, and its counts are
those of a walk through all rows."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.explore.filters import MEANING, Filters
from persona_assets.explore.hub import KEPT, Hub
from persona_assets.explore.hub_tables import load_hub
from persona_assets.explore.selection import ON_PAGE, Search
from persona_assets.storage.storage import Storage
from persona_assets_tests.explore.written_hub import embed, project_of, write_hub

RNG = np.random.default_rng(0)


def persona(number: int) -> dict[str, Any]:
    angle = float(RNG.uniform(0, 6))
    row: dict[str, Any] = {
        "persona_id": f"p{number}",
        "persona": " ".join(RNG.choice(["nurse", "nursery", "pilot", "owl"], 2)),
        "hop": int(RNG.integers(0, 3)),
        "relation": [None, "reads", "writes"][number % 3],
        "language": ["en", "zh"][number % 2],
        "licence": "CC0-1.0",
    }
    if number % 5:
        row |= {"place": (float(RNG.uniform(0, 10)), float(RNG.uniform(0, 6)))}
        row |= {"vector": [float(np.cos(angle)), float(np.sin(angle))]}
    else:
        row |= {"dropped": "quality: too_short" if number % 2 else "lexical_duplicate"}
    return row


PERSONAS = [persona(number) for number in range(120)]
PERSONAS[7]["vector"] = [0.0, 0.0]
PERSONAS[8]["confusion"] = 1.0


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    storage = Storage(tmp_path_factory.mktemp("hub"))
    write_hub(storage, {"b.txt": PERSONAS[:70], "a.txt": PERSONAS[70:]})
    return load_hub(project_of(storage))


def values(number: int) -> Mapping[str, str]:
    row = PERSONAS[number]
    return {
        "hop": str(row["hop"]),
        "relation": row["relation"] or "",
        "language": row["language"],
        "shard": "b.txt" if number < 70 else "a.txt",
        "verdict": row.get("dropped", KEPT),
    }


def passes(number: int, filters: Filters, but: str = "") -> bool:
    row, own = PERSONAS[number], values(number)
    if filters.query and not any(w.startswith(filters.query) for w in row["persona"].split()):
        return False
    if filters.box is not None:
        if "place" not in row:
            return False
        left, bottom, right, top = filters.box
        x, y = np.float32(row["place"])
        if not (left <= x <= right and bottom <= y <= top):
            return False
    return all(own[name] in those for name, those in filters.values.items() if name != but)


FILTERS = st.builds(
    Filters,
    query=st.sampled_from(["", "nurse", "nurs", "owl", "zebra"]),
    values=st.dictionaries(
        st.sampled_from(["hop", "relation", "language", "shard", "verdict"]),
        st.lists(
            st.sampled_from(["0", "1", "9", "", "reads", "en", "b.txt", KEPT]),
            min_size=1,
            max_size=3,
        ).map(tuple),
        max_size=2,
    ),
    box=st.sampled_from([None, (2.0, 1.0, 7.0, 5.0)]),
)


@settings(derandomize=True, max_examples=80)
@given(filters=FILTERS)
def test_view_and_counts_are_those_of_a_walk(hub: Hub, filters: Filters) -> None:
    search = Search(hub, embed)
    expected = {number for number in range(120) if passes(number, filters)}
    first = search.select(filters)
    assert first.count == len(expected)
    listed = [
        row
        for page in range(1, first.pages + 1)
        for row in search.select(filters.on_page(page)).rows
    ]
    assert sorted(listed) == sorted(expected)
    for name in ("hop", "relation", "language", "shard", "verdict"):
        counted = Counter(values(n)[name] for n in range(120) if passes(n, filters, but=name))
        shown = dict(zip(hub.facets[name].values, first.totals[name].tolist(), strict=True))
        assert {value: count for value, count in shown.items() if count} == counted
    assert search.select(filters.on_page(first.pages + 1)).rows == []


def test_whole_words_come_first_and_then_short_texts(hub: Hub) -> None:
    search = Search(hub, embed)
    rows = search.select(Filters(query="nurse")).rows
    keys = [("nurse" not in hub.texts[row].split(), len(hub.texts[row])) for row in rows]
    assert keys == sorted(keys)
    assert len(rows) == ON_PAGE


def test_meaning_lists_rows_with_a_readable_vector_by_their_cosine(hub: Hub) -> None:
    search = Search(hub, embed)
    filters = Filters(query="harbour", kind=MEANING, values={"language": ("en",)})
    wanted = embed("harbour")
    cosines = {
        number: float(np.dot(row["vector"], wanted))
        for number, row in enumerate(PERSONAS)
        if number % 5 and number not in (7, 8) and row["language"] == "en"
    }
    selection = search.select(filters)
    assert selection.count == len(cosines)
    listed = [*selection.rows, *search.select(filters.on_page(2)).rows]
    assert set(listed) == set(cosines)
    assert selection.cosines == pytest.approx([cosines[row] for row in selection.rows], abs=2e-3)
    assert list(selection.cosines) == sorted(selection.cosines, reverse=True)
    assert len(hub.meaning) == sum("vector" in row for row in PERSONAS) - 2


def test_area_lists_the_nearest_to_its_middle_first(hub: Hub) -> None:
    box = (2.0, 1.0, 7.0, 5.0)
    rows = Search(hub, embed).select(Filters(box=box)).rows
    distances = [float(np.hypot(*(hub.places[row] - (4.5, 3.0)))) for row in rows]
    assert distances == sorted(distances)


@pytest.mark.parametrize("row", [0, 69, 70, 119])
def test_persona_is_found_by_its_id(hub: Hub, row: int) -> None:
    assert hub.row(f"p{row}") == row
    assert hub.row(f"q{row}") is None


def test_address_of_a_view_leads_back_to_it() -> None:
    filters = Filters(
        "a & b = 'c'", MEANING, {"relation": ("<b>", ""), "hop": ("1",)}, (-1.5, 0.0, 2.25, 3.0), 4
    )
    address = filters.address()
    assert Filters.parse(address.partition("?")[2]) == filters
    assert filters.toggled("hop", "1").values == {"relation": ("<b>", "")}
    assert filters.toggled("hop", "2").values["hop"] == ("1", "2")


@pytest.mark.parametrize(
    "query",
    [
        "page=-1",
        "page=٣",
        "page=1e9",
        "box=1,2,3",
        "box=nan,0,1,1",
        "box=3,0,1,1",
        "by=sql",
        "%ff=%ff",
    ],
)
def test_malformed_address_is_the_view_of_all(query: str) -> None:
    assert Filters.parse(query) == Filters()


def test_hub_without_tables_is_empty(tmp_path: Path) -> None:
    hub = load_hub(project_of(Storage(tmp_path)))
    selection = Search(hub, embed).select(Filters(query="nurse", values={"hop": ("1",)}))
    assert (len(hub), selection.count, selection.rows, selection.pages) == (0, 0, [], 1)
