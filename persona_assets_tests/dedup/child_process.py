"""Programs of the dedup tests, run in child processes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_program(name: str, *arguments: object) -> int:
    """Run `programs/<name>.py`, and return its exit code, which is negative for a signal."""
    program = f"persona_assets_tests.dedup.programs.{name}"
    command = [sys.executable, "-m", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode
