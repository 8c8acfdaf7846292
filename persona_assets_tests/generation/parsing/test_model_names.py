"""Another model than the one asked is told from another spelling of its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.generation.parsing.model_names import other_model

SAME = [
    ("gpt-4o", "gpt-4o-2024-08-06"),
    ("gpt-4o-2024-08-06", "gpt-4o"),
    ("gpt-4o", "openai/gpt-4o"),
    ("openai/gpt-4o", "gpt-4o-2024-08-06"),
    ("gpt-4", "gpt-4-0613"),
    ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
    ("claude-3-5-sonnet", "claude-3-5-sonnet@20241022"),
    ("gemini-2.5-flash", "models/gemini-2.5-flash"),
    ("llama3", "llama3:latest"),
    ("llama3", "llama3:8b"),
    ("Qwen/Qwen2.5-0.5B-Instruct", "qwen2.5-0.5b-instruct"),
    ("qwen2.5-0.5b", "/models/Qwen2.5-0.5B.gguf"),
    ("qwen2.5-0.5b", "C:\\models\\qwen2.5-0.5b.gguf"),
    ("m", ""),
    ("m", None),
    ("m", 7),
    ("", "m"),
]
OTHER = [
    ("gpt-4o", "gpt-4o-mini"),
    ("gpt-4o", "gpt-4o-mini-2024-07-18"),
    ("gpt-4-0613", "gpt-4-1106"),
    ("llama3:8b", "llama3:70b"),
    ("deepseek-reasoner", "deepseek-chat"),
]


@pytest.mark.parametrize(("asked", "answered"), SAME)
def test_spelling_makes_no_other_model(asked: str, answered: object) -> None:
    assert other_model(asked, answered) == ""


@pytest.mark.parametrize(("asked", "answered"), OTHER)
def test_other_model_is_told(asked: str, answered: str) -> None:
    assert other_model(asked, answered) == answered


@given(st.text(), st.text())
def test_name_of_the_other_model_is_short_and_plain(asked: str, answered: str) -> None:
    name = other_model(asked, answered)
    assert len(name) <= 100
    assert name.isascii()
    assert name == "" or name.isprintable()


def test_time_to_compare_names_is_linear() -> None:
    for unit in ("-2024", ":a", "/", "a", "-", ".gguf"):
        other_model("m", unit * 100_000)
        other_model(unit * 1_000, unit * 100_000)
