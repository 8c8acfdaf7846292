"""A skipped test fails where all tests are required, as in CI, and is skipped elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from persona_assets_tests.conftest import REQUIRE_ALL

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "persona_assets_tests" / "programs"
REASONS = (
    "a program is missing",
    "a file is missing",
    "the system is another",
    "an extra is not installed",
)


@pytest.mark.parametrize(
    ("required", "code", "summary"),
    [
        ("", 0, "1 passed, 4 skipped, 1 xfailed"),
        ("1", 1, "1 failed, 1 passed, 1 xfailed, 3 errors"),
    ],
)
def test_skips_fail_if_and_only_if_all_tests_are_required(
    required: str, code: int, summary: str
) -> None:
    files = [str(PROGRAMS / name) for name in ("skipping_tests.py", "skipping_module.py")]
    # A module that fails to be collected would otherwise keep the other tests from running.
    options = ["-ra", "--continue-on-collection-errors"]
    process = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT,
        env={**os.environ, REQUIRE_ALL: required, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    assert (process.returncode, summary in process.stdout) == (code, True), process.stdout
    assert all(reason in process.stdout for reason in REASONS)
