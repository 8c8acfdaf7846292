"""Tokens are counted from the usage of any provider, thinking included."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.generation.money.usage import Tokens

OPENAI = {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60}


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (OPENAI, Tokens(10, 0, 50)),
        (
            {**OPENAI, "completion_tokens_details": {"reasoning_tokens": 40}},
            Tokens(10, 0, 50, 40),
        ),
        ({**OPENAI, "reasoning_tokens": 40}, Tokens(10, 0, 50, 40)),
        # The output leaves out thinking; the total or a detail tells.
        ({**OPENAI, "total_tokens": 360}, Tokens(10, 0, 350, 300)),
        (
            {
                **OPENAI,
                "total_tokens": 360,
                "completion_tokens_details": {"reasoning_tokens": 300},
            },
            Tokens(10, 0, 350, 300),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "completion_tokens_details": {"reasoning_tokens": 300},
            },
            Tokens(10, 0, 305, 300),
        ),
        ({**OPENAI, "prompt_tokens_details": {"cached_tokens": 4}}, Tokens(10, 4, 50)),
        (
            {**OPENAI, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6},
            Tokens(10, 4, 50),
        ),
        # The names of Anthropic, whose input leaves out its cache.
        (
            {
                "input_tokens": 3,
                "cache_read_input_tokens": 4,
                "cache_creation_input_tokens": 5,
                "output_tokens": 50,
            },
            Tokens(12, 4, 50, 0, 5),
        ),
        # The names of OpenAI's newer API.
        (
            {
                "input_tokens": 10,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens": 50,
                "output_tokens_details": {"reasoning_tokens": 40},
            },
            Tokens(10, 4, 50, 40),
        ),
        ({"prompt_tokens": "10", "completion_tokens": 50.0}, Tokens(10, 0, 50)),
        ({"prompt_tokens": 10, "completion_tokens": None}, Tokens(10)),
        (
            {**OPENAI, "prompt_tokens_details": None, "completion_tokens_details": None},
            Tokens(10, 0, 50),
        ),
        ({"prompt_tokens": 5, "total_tokens": 5}, Tokens(5)),
        ({"prompt_tokens": None, "completion_tokens": "many"}, None),
        ({"prompt_tokens": -1, "completion_tokens": float("nan")}, None),
        ({}, None),
    ],
)
def test_usage_counts_the_tokens_that_are_billed(
    usage: dict[str, Any], tokens: Tokens | None
) -> None:
    assert Tokens.counted(usage) == tokens


names = st.sampled_from(
    ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"]
)
counts = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.booleans()
details = st.dictionaries(st.sampled_from(["reasoning_tokens", "cached_tokens"]), counts)


@given(
    st.dictionaries(names, counts),
    st.dictionaries(
        st.sampled_from(["prompt_tokens_details", "completion_tokens_details"]), details | counts
    ),
)
def test_usage_of_any_shape_has_counts_or_none(
    usage: dict[str, Any], inside: dict[str, Any]
) -> None:
    tokens = Tokens.counted(usage | inside)
    assert tokens is None or min(tokens.input, tokens.output - tokens.reasoning) >= 0
