"""Caches of the benchmarks, and virtual environments in which peers are installed."""

import re
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

CACHE = Path.home() / ".cache" / "persona_assets_benchmarks"
"""Folder of data, journals and environments. On a disk, which the temporary folder may not be."""


def peer_python(home: Path, requirements: Sequence[str]) -> Path:
    """Return the interpreter of an environment with these requirements, installed once by pip.

    Args:
        home: Folder of the environment. Replaced if its requirements are others.
        requirements: Arguments of `pip install`.

    Raises:
        subprocess.CalledProcessError: pip failed.
    """
    python, installed = home / "bin" / "python", home / "installed"
    if not installed.exists() or installed.read_text().split() != list(requirements):
        venv.create(home, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements], check=True, capture_output=True, text=True)
        installed.write_text("\n".join(requirements))
    return python


def error_message(stderr: str) -> str:
    """Return the last line with words of a traceback or of pip's output.

    Example:
        >>> error_message("Traceback (most recent call last):\\nValueError: no rows\\n  ^^^\\n")
        'ValueError: no rows'
    """
    lines = [line.strip(" |") for line in stderr.splitlines() if re.search(r"[a-z]", line)]
    return lines[-1][:300] if lines else "no message on standard error"
