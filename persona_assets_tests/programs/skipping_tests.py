"""Tests that skip in each phase, and an expected failure."""

import pytest


@pytest.fixture
def missing() -> None:
    pytest.skip("a program is missing")


def test_skipped_by_a_fixture(missing: None) -> None:
    pass


def test_skipped_in_its_body() -> None:
    pytest.skip("a file is missing")


@pytest.mark.skipif(True, reason="the system is another")
def test_skipped_by_a_mark() -> None:
    pass


@pytest.mark.xfail(strict=True)
def test_expected_to_fail() -> None:
    raise AssertionError


def test_passes() -> None:
    pass
