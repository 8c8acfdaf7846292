"""The key of a call is a hash of the question; an endpoint's settings hold no secret."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation import Endpoint, call_key

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False).filter(lambda number: abs(number) != float("inf"))
)
names = st.text(max_size=8)
bodies = st.dictionaries(
    names,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
few = settings(max_examples=50, deadline=None, derandomize=True)


def reversed_members(value: Any) -> Any:
    """Return a JSON value whose objects have their members in reverse order."""
    if isinstance(value, dict):
        return {name: reversed_members(value[name]) for name in reversed(value)}
    if isinstance(value, list):
        return [reversed_members(member) for member in value]
    return value


@few
@given(bodies)
def test_key_ignores_the_order_of_members_and_the_model_in_the_body(body: dict[str, Any]) -> None:
    key = call_key("m", "/u", body)
    assert call_key("m", "/u", reversed_members(body)) == key
    assert call_key("m", "/u", {**body, "model": "alias"}) == call_key(
        "m", "/u", {name: value for name, value in body.items() if name != "model"}
    )
    assert len(key) == 32
    assert int(key, 16) >= 0


@few
@given(bodies, st.integers(0, 1000), st.integers(1, 1000))
def test_key_depends_on_identity_url_body_and_index(
    body: dict[str, Any], index: int, step: int
) -> None:
    key = call_key("m", "/u", body, index)
    assert call_key("m", "/u", body, index + step) != key
    assert call_key("m2", "/u", body, index) != key
    assert call_key("m", "/u2", body, index) != key
    assert call_key("m", "/u", {**body, "messages": [index]}, index) != call_key(
        "m", "/u", {**body, "messages": [index + step]}, index
    )


def test_key_is_the_same_however_a_number_is_written() -> None:
    assert call_key("m", "/u", {"temperature": 1}) == call_key("m", "/u", {"temperature": 1.0})
    assert call_key("m", "/u", {"temperature": 1}) != call_key("m", "/u", {"temperature": 1.1})
    assert call_key("m", "/u", {"logprobs": True}) != call_key("m", "/u", {"logprobs": 1})


def test_key_of_a_known_call_never_changes() -> None:
    """A change of this value makes every user pay again for all answers in their journals."""
    body = {"messages": [{"role": "user", "content": "Wer bist du? 你好"}], "temperature": 0.7}
    key = call_key("some-model", "/chat/completions", body, 3)
    assert key == "e9c3cc1a10fb540ceb1524b9fb01fb14"


def test_key_of_a_number_that_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        call_key("m", "/u", {"temperature": float("nan")})


def test_identity_is_the_model_and_its_weights_but_not_its_address() -> None:
    here = Endpoint(model="m", base_url="http://127.0.0.1:1/v1")
    there = Endpoint(model="m", base_url="https://example.org/v1")
    assert here.identity == there.identity == "m"
    assert Endpoint(model="m", weights_sha256="ab").identity != here.identity


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://h/v1", "https://me:secret@h/v1", "https://h/v1?key=secret"]
)
def test_base_url_that_is_no_url_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        Endpoint(model="m", base_url=url)
    assert "secret" not in str(caught.value)


def test_api_key_as_a_setting_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        Endpoint(model="m", api_key="sk-secret")  # type: ignore[call-arg]
    assert "secret" not in str(caught.value)
