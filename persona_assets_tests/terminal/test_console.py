"""Figures as people read them, and progress where there is no terminal."""

from decimal import Decimal

import pytest

from persona_assets.planning.estimate import Interval
from persona_assets.terminal.figures import between, duration, money, price
from persona_assets.terminal.progress import Lines


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("12345.6789", "12,345.68"),
        ("123.456", "123.46"),
        ("1.23456", "1.2346"),
        ("0.12345", "0.123"),
        ("0.000123456", "0.000123"),
        ("0.00000000005", "0.0000000000500"),
        ("0", "0"),
        ("0.000000000000", "0"),
    ],
)
def test_money_has_the_digits_that_matter(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("known", "unpriced", "text"),
    [
        ("0.25", 0, "0.250"),
        (None, 0, "0"),
        ("0.25", 3, ">= 0.250"),
        ("0", 3, "unknown"),
        (None, 3, "unknown"),
    ],
)
def test_a_price_that_is_unknown_is_not_nothing(
    known: str | None, unpriced: int, text: str
) -> None:
    assert price(None if known is None else Decimal(known), unpriced) == text


@pytest.mark.parametrize(
    ("hours", "text"),
    [(0, "0 s"), (0.01, "36.0 s"), (0.5, "30.0 min"), (1.5, "1.50 h"), (72, "3.00 days")],
)
def test_a_time_is_in_the_unit_that_suits_it(hours: float, text: str) -> None:
    assert duration(hours) == text


def test_an_estimate_without_a_spread_is_about() -> None:
    assert between(Interval(3, None, None), str) == "about 3"
    assert between(Interval(3, 2, 4), str) == "3\n2 to 4"
    assert between(None, str) == ""


def test_lines_are_told_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    often = Lines(total=5, every=0)
    often.advance(2)
    often.tell("hop_1_personas a.txt writer: 3 of 9 answered, 10 s left")
    often.tell("")
    often.advance(1)
    often.tell("hop_1_personas [b].txt writer: 9 of 9 answered")
    assert capsys.readouterr().out.splitlines() == [
        "2/5 tables, hop_1_personas a.txt writer: 3 of 9 answered, 10 s left",
        "3/5 tables, hop_1_personas [b].txt writer: 9 of 9 answered",
    ]
    seldom = Lines(total=5, every=3600)
    seldom.tell("a moment after the start")
    assert capsys.readouterr().out == ""
    seldom.say("run 1 failed: " + "so " * 100)
    assert len(capsys.readouterr().out.splitlines()) == 1
