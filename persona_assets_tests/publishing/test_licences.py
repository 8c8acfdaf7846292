"""The licence of a dataset is that of its rows; a licence without derivatives is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.publishing.licences import (
    OTHER,
    UNKNOWN,
    LicenceError,
    dataset_licence,
    read_licence,
)

STATED = {
    "CC0-1.0": "cc0-1.0",
    "Creative Commons Zero v1.0": "cc0-1.0",
    "http://creativecommons.org/publicdomain/zero/1.0/": "cc0-1.0",
    "CC-BY-4.0": "cc-by-4.0",
    "cc by 3.0": "cc-by-3.0",
    "CC_BY_SA_4.0": "cc-by-sa-4.0",
    "cc-by-nc-sa-4.0": "cc-by-nc-sa-4.0",
    "https://creativecommons.org/licenses/by-nc-nd/4.0/deed.de": "cc-by-nc-nd-4.0",
    "Creative Commons Attribution-NonCommercial-ShareAlike 4.0": "cc-by-nc-sa-4.0",
    "Creative Commons Attribution No Derivatives 4.0": "cc-by-nd-4.0",
    "MIT": "mit",
    "Apache-2.0": "apache-2.0",
    "ODbL": "odbl",
    "": UNKNOWN,
    "unknown": UNKNOWN,
    "Terms of the archive": "Terms of the archive",
    # As rows of two personas state it.
    "CC-BY-4.0 AND CC-BY-NC-4.0": "cc-by-nc-4.0",
    "CC0-1.0 AND CC-BY-SA-4.0": "cc-by-sa-4.0",
    "MIT AND CC-BY-NC-4.0": "cc-by-nc-4.0 AND mit",
    "CC-BY-4.0 AND CC-BY-SA-4.0 AND CC-BY-4.0": "cc-by-sa-4.0",
    "unknown AND CC0-1.0": UNKNOWN,
    # However a condition is set apart.
    "CC BY\u2013NC 4.0": "cc-by-nc-4.0",
    "CC-BY\u2011NC\u2011ND 4.0": "cc-by-nc-nd-4.0",
    "CC BYNC 4.0": "cc-by-nc-4.0",
    "CC0 or CC-BY-NC-4.0": "cc-by-nc-4.0",
    "Creative Commons Attribution, NonCommercial 4.0": "cc-by-nc-4.0",
    "CC BY 4.0, no commercial use": "cc-by-nc-4.0",
    "Terms <b>of</b>\n# Y": "Terms  b of /b  # Y",
}


@pytest.mark.parametrize(("text", "name"), STATED.items())
def test_licence_is_read_however_it_is_written(text: str, name: str) -> None:
    assert read_licence(text).name == name
    assert read_licence(text).is_known == (name != UNKNOWN)


@pytest.mark.parametrize(
    ("licences", "name"),
    [
        (["MIT"], "mit"),
        (["CC0-1.0", "CC-BY-4.0"], "cc-by-4.0"),
        (["CC-BY-4.0", "CC-BY-SA-4.0"], "cc-by-sa-4.0"),
        (["CC0-1.0", "CC-BY-NC-4.0"], "cc-by-nc-4.0"),
        (["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"], "cc-by-nc-sa-4.0"),
        # Nothing includes both: the first may be sold, the second may not change its terms.
        (["CC-BY-NC-4.0", "CC-BY-SA-4.0"], OTHER),
        (["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"], OTHER),
        (["CC-BY-SA-3.0", "CC-BY-SA-4.0"], OTHER),
        (["CC-BY-4.0", "MIT"], OTHER),
        (["CC-BY-4.0", None], OTHER),
        (["Terms of the archive"], OTHER),
        (["cc terms of our own"], OTHER),
        (["CC-BY-4.0", "cc terms of our own"], OTHER),
        (["CC-BY-4.0", "CC-BY-4.0 AND CC-BY-NC-4.0"], "cc-by-nc-4.0"),
        (["MIT AND CC-BY-NC-4.0"], OTHER),
    ],
)
def test_dataset_has_the_strictest_licence_of_its_rows(
    licences: list[str | None], name: str
) -> None:
    assert dataset_licence(dict.fromkeys(licences, 2)).name == name


def test_rows_without_a_known_licence_are_counted() -> None:
    found = dataset_licence({"CC-BY-4.0": 5, None: 2, "unknown": 1})
    assert found.sentence.startswith("3 rows come from texts without a known licence")


def test_licence_without_derivatives_is_refused_with_the_way_out() -> None:
    with pytest.raises(LicenceError, match="--only-licence and their names, cc-by-4"):
        dataset_licence({"CC-BY-ND-4.0": 1, "CC-BY-4.0": 9})
    for closed in ("MIT AND CC-BY-ND-4.0", "No derivatives", "Attribution-NoDerivs"):
        with pytest.raises(LicenceError, match="no other rows are left"):
            dataset_licence({closed: 1})
    with pytest.raises(LicenceError, match="no rows"):
        dataset_licence({})


def test_a_licence_for_each_row_makes_no_endless_sentence() -> None:
    found = dataset_licence({f"licence of the text {n}": 1 for n in range(5_000)})
    assert found.name == OTHER
    assert "and 4,988 more" in found.sentence
    assert len(found.sentence) < 1_000


CREATIVE_COMMONS = st.sets(
    st.sampled_from(["CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"]),
    min_size=1,
)


@given(CREATIVE_COMMONS)
def test_no_condition_of_a_row_is_lost(licences: set[str]) -> None:
    name = dataset_licence(dict.fromkeys(licences, 1)).name
    if name != OTHER:
        conditions = frozenset[str]().union(*(read_licence(each).parts for each in licences))
        assert read_licence(name).parts == conditions
