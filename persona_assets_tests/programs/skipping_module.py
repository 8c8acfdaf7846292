"""Test module that skips as a whole."""

import pytest

pytest.importorskip("a_package_that_nobody_has", reason="an extra is not installed")


def test_is_never_collected() -> None:
    pass
