"""Programs that tests run in processes of their own, found in the folder `programs`."""

import subprocess
import sys


def command(program: str, *arguments: object) -> list[str]:
    """Return the command line that runs a program, with warnings as errors."""
    module = f"persona_assets_tests.generation.programs.{program}"
    return [sys.executable, "-W", "error", "-m", module, *map(str, arguments)]


def start(program: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start a program with pipes to its standard input and output."""
    return subprocess.Popen(
        command(program, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def start_together(program: str, *arguments: object, count: int) -> "list[subprocess.Popen[str]]":
    """Start a program several times; let all go on once each has printed "ready"."""
    children = [start(program, *arguments) for _ in range(count)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return children
