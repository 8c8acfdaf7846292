"""Figures have significant digits and honest unknowns; progress in a pipe is rate-limited."""

from decimal import Decimal

import pytest

from persona_assets.number_format import format_money, format_price
from persona_assets.planning.estimate import Interval
from persona_assets.terminal.figures import format_duration, format_interval
from persona_assets.terminal.progress import ProgressLines


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
def test_money_is_shown_with_its_significant_digits(amount: str, text: str) -> None:
    assert format_money(Decimal(amount)) == text


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
def test_unknown_price_is_never_shown_as_zero(known: str | None, unpriced: int, text: str) -> None:
    assert format_price(None if known is None else Decimal(known), unpriced) == text


@pytest.mark.parametrize(
    ("hours", "text"),
    [(0, "0 s"), (0.01, "36.0 s"), (0.5, "30.0 min"), (1.5, "1.50 h"), (72, "3.00 days")],
)
def test_duration_is_shown_in_a_fitting_unit(hours: float, text: str) -> None:
    assert format_duration(hours) == text


def test_estimate_without_bounds_is_shown_as_about() -> None:
    assert format_interval(Interval(3, None, None), str) == "about 3"
    assert format_interval(Interval(3, 2, 4), str) == "3\n2 to 4"
    assert format_interval(None, str) == ""


def test_progress_lines_count_tables_and_skip_empty_messages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    often = ProgressLines(total=5, every=0)
    often.advance(2)
    often.show_status("hop_1_personas a.txt writer: 3 of 9 answered, 10 s left")
    often.show_status("")
    often.advance(1)
    often.show_status("hop_1_personas [b].txt writer: 9 of 9 answered")
    assert capsys.readouterr().out.splitlines() == [
        "2/5 tables, hop_1_personas a.txt writer: 3 of 9 answered, 10 s left",
        "3/5 tables, hop_1_personas [b].txt writer: 9 of 9 answered",
    ]


def test_progress_lines_are_rate_limited_and_permanent_lines_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seldom = ProgressLines(total=5, every=3600)
    seldom.show_status("a moment after the start")
    assert capsys.readouterr().out == ""
    seldom.print_line("run 1 failed: " + "so " * 100)
    assert len(capsys.readouterr().out.splitlines()) == 1
